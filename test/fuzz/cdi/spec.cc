// CDI specifications, as JSON and as YAML. Whatever is taken has names that can be asked for.
#include "api/cdi/spec.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "test/fuzz/target.h"

std::vector<std::string> wherry::fuzz::Seeds() {
  return {R"({"cdiVersion":"0.6.0","kind":"vendor.com/gpu","devices":[{"name":"0","containerEdits":{"deviceNodes":[)"
          R"({"path":"/dev/gpu0","hostPath":"/dev/null","type":"c","major":1,"minor":3,"fileMode":438}]}}],)"
          R"("containerEdits":{"env":["A=b"],"mounts":[{"hostPath":"/usr","containerPath":"/gpu","options":["ro"]}]}})",
          "cdiVersion: \"1.0.0\"\nkind: vendor.com/net\ndevices:\n- name: &n a\n  containerEdits: {env: [\"A=b\"]}\n"
          "- name: b\n  containerEdits: &e\n    additionalGids: [1, 2]\ncontainerEdits: *e\n"};
}

namespace {

void Check(const absl::StatusOr<wherry::cdi::Spec>& spec) {
  if (!spec.ok()) {
    if (spec.status().message().empty()) std::abort();
    return;
  }
  for (const auto& device : spec->devices)
    if (!wherry::cdi::ParseQualifiedName(absl::StrCat(spec->kind, "=", device.name)).ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  Check(wherry::cdi::ParseJson(text));
  Check(wherry::cdi::ParseYaml(text));
  return 0;
}
