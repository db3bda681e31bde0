// Manifests, indexes, docker save's manifest.json and image configurations.
#include "absl/strings/str_cat.h"
#include "api/oci/digest.h"
#include "api/oci/image.h"
#include "api/oci/manifest.h"
#include "test/fuzz/target.h"

namespace {

// Every digest that comes out may be used as a file name.
void Demand(bool ok) {
  if (!ok) __builtin_trap();
}

constexpr char kDigest[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wherry::oci;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto doc = ParseManifestOrIndex(text, ""); doc.ok()) {
    const Manifest* manifest = std::get_if<Manifest>(&*doc);
    for (const Descriptor& d : manifest != nullptr ? manifest->layers : std::get<Index>(*doc).manifests)
      Demand(CheckDigest(d.digest).ok());
    if (manifest != nullptr) Demand(CheckDigest(manifest->config.digest).ok());
  }
  if (auto config = ParseImageConfig(text); config.ok())
    for (const std::string& id : config->diff_ids) Demand(CheckDigest(id).ok());
  (void)ParseDockerSaveManifest(text).ok();
  return 0;
}

std::vector<std::string> wherry::fuzz::Seeds() {
  const std::string d = absl::StrCat(R"("digest":")", kDigest, R"(","size":7,"annotations":{"a":"b"})");
  return {
      absl::StrCat(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{)", d,
                   R"(},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",)", d, "}]}"),
      absl::StrCat(R"({"schemaVersion":2,"manifests":[{)", d,
                   R"(,"platform":{"os":"linux","architecture":"arm","variant":"v7"}}]})"),
      absl::StrCat(
          R"({"architecture":"amd64","os":"linux","config":{"User":"a","Env":["A=\u00e9"],"Cmd":["sh"],"Volumes":{"/v":{}},)",
          R"("Labels":{"k":"v"}},"rootfs":{"type":"layers","diff_ids":[")", kDigest, R"("]}})"),
      R"([{"Config":"c.json","RepoTags":["a:1"],"Layers":["1/layer.tar"]}])",
  };
}
