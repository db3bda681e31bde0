// Image references: what is accepted is normal, which means that it parses to itself again.
#include "cri/image/reference.h"

#include "test/fuzz/target.h"

namespace {
void Demand(bool ok) {
  if (!ok) __builtin_trap();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wherry::image;
  auto ref = ParseReference(absl::string_view(reinterpret_cast<const char*>(data), size));
  if (!ref.ok()) return 0;
  const std::string whole =
      ref->Repository() + (ref->tag.empty() ? "" : ":" + ref->tag) + (ref->digest.empty() ? "" : "@" + ref->digest);
  auto again = ParseReference(whole);
  Demand(again.ok() && again->Repository() == ref->Repository() && again->tag == ref->tag &&
         again->digest == ref->digest);
  const std::string repository = ref->Repository();  // tags may have dots, but are never a path
  Demand(repository.find("..") == std::string::npos && repository.find("//") == std::string::npos);
  Demand(ref->tag.find('/') == std::string::npos);
  return 0;
}

std::vector<std::string> wherry::fuzz::Seeds() {
  return {"busybox", "localhost:5000/a/b-c:tag", "[::1]:80/x__y",
          "quay.io/a.b/c:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
}
