#include "test/bench/bulk_registry.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

#include "absl/strings/str_join.h"
#include "cri/image/import_plan.h"
#include "cri/image/sha256.h"
#include "test/unit/image/tar_writer.h"

namespace wherry::bench {
namespace {

using image::Sha256Of;
using image::test::TarWriter;

constexpr int kLayers = 6, kFiles = 3400, kDirectories = 60, kBigFiles = 4;
constexpr size_t kBigNoise = 4 << 20, kBigText = 4 << 20;

// Contents of files. std::mt19937_64 is the same everywhere; the library's distributions are not.
class Contents {
 public:
  explicit Contents(uint64_t seed) : random_(seed) {
    for (std::string& word : words_)
      for (uint64_t n = 3 + random_() % 38; n > 0; --n) word += kLetters[random_() % kLetters.size()];
  }
  std::string Noise(size_t size) {
    std::string out;
    while (out.size() < size) {
      const uint64_t bits = random_();
      out.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
    }
    out.resize(size);
    return out;
  }
  std::string Text(size_t size) {
    std::string out;
    while (out.size() < size) out += words_[random_() % words_.size()];
    out.resize(size);
    return out;
  }
  // A Pareto distribution, as files have: most are small, most bytes are in the large ones.
  size_t Size() {
    const double even = (static_cast<double>(random_() >> 11) + 1) / static_cast<double>(uint64_t{1} << 53);
    return 100 + static_cast<size_t>(std::min(400'000.0, 700 * std::pow(even, -1 / 1.1)));
  }

 private:
  static constexpr absl::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_(){};=\n ";
  std::mt19937_64 random_;
  std::vector<std::string> words_{5000};
};

std::string LayerTar(Contents& contents, int n) {
  TarWriter tar;
  const std::string top = absl::StrCat("usr/l", n);
  tar.Dir("usr").Dir(top);
  for (int d = 0; d < kDirectories; ++d) tar.Dir(absl::StrCat(top, "/d", d));
  for (int i = 0; i < kFiles; ++i) {
    const size_t size = contents.Size();
    tar.File(absl::StrCat(top, "/d", i % kDirectories, "/f", i),
             i % 3 == 0 ? contents.Noise(size) : contents.Text(size));
  }
  for (int i = 0; i < kBigFiles; ++i)
    tar.File(absl::StrCat(top, "/big", i), contents.Noise(kBigNoise) + contents.Text(kBigText), 0755);
  return tar.Bytes();
}

class Storage {
 public:
  explicit Storage(const std::string& dir) : top_(dir + "/docker/registry/v2/") {}

  // Stores a blob, makes it part of the repository, and returns its descriptor.
  absl::StatusOr<std::string> Add(const std::string& blob, absl::string_view media_type) {
    ASSIGN_OR_RETURN(const std::string digest, Keep(blob));
    RETURN_IF_ERROR(Link("_layers/sha256/" + digest.substr(7), digest));
    return absl::StrCat(R"({"mediaType":"application/vnd.oci.image.)", media_type, R"(","digest":")", digest,
                        R"(","size":)", blob.size(), "}");
  }
  absl::Status AddManifest(const std::string& tag, const std::string& text) {
    ASSIGN_OR_RETURN(const std::string digest, Keep(text));
    RETURN_IF_ERROR(Link("_manifests/revisions/sha256/" + digest.substr(7), digest));
    RETURN_IF_ERROR(Link(absl::StrCat("_manifests/tags/", tag, "/index/sha256/", digest.substr(7)), digest));
    return Link(absl::StrCat("_manifests/tags/", tag, "/current"), digest);
  }

 private:
  static absl::Status Write(const std::string& path, const std::string& text) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    return file.fail() ? sys::Errno(absl::StrCat("write \"", path, "\"")) : absl::OkStatus();
  }
  absl::StatusOr<std::string> Keep(const std::string& blob) const {
    const std::string digest = Sha256Of(blob), hex = digest.substr(7);
    RETURN_IF_ERROR(Write(absl::StrCat(top_, "blobs/sha256/", hex.substr(0, 2), "/", hex, "/data"), blob));
    return digest;
  }
  absl::Status Link(const std::string& name, const std::string& digest) const {
    return Write(absl::StrCat(top_, "repositories/bulk/", name, "/link"), digest);
  }

  const std::string top_;
};

absl::Status AddImage(Storage& storage, int number) {
  Contents contents(static_cast<uint64_t>(number) + 1);
  std::vector<std::string> diff_ids, layers;
  for (int n = 0; n < kLayers; ++n) {
    const std::string tar = LayerTar(contents, n);
    diff_ids.push_back(absl::StrCat("\"", Sha256Of(tar), "\""));
    ASSIGN_OR_RETURN(std::string layer, storage.Add(image::test::Gzip(tar), "layer.v1.tar+gzip"));
    layers.push_back(std::move(layer));
  }
  const std::string config =
      absl::StrCat(R"({"architecture":")", image::HostPlatform().architecture,
                   R"(","os":"linux","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":[)",
                   absl::StrJoin(diff_ids, ","), "]}}");
  ASSIGN_OR_RETURN(const std::string described, storage.Add(config, "config.v1+json"));
  return storage.AddManifest(
      absl::StrCat(number),
      absl::StrCat(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)",
                   described, R"(,"layers":[)", absl::StrJoin(layers, ","), "]}"));
}

}  // namespace

absl::Status WriteBulkRegistry(const std::string& dir) {
  Storage storage(dir);
  for (int i = 0; i < kBulkImages; ++i) RETURN_IF_ERROR(AddImage(storage, i));
  return absl::OkStatus();
}

}  // namespace wherry::bench
