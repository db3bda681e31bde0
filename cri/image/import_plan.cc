#include "cri/image/import_plan.h"

#include <sys/utsname.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "api/oci/digest.h"
#include "api/oci/json.h"
#include "cri/image/blob_origin.h"
#include "cri/image/file_source.h"
#include "cri/image/manifest_plan.h"
#include "cri/image/reference.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxImages = 256;
constexpr char kNameAnnotation[] = "io.containerd.image.name";
constexpr char kRefAnnotation[] = "org.opencontainers.image.ref.name";

std::string BlobName(absl::string_view digest) { return absl::StrCat("blobs/sha256/", oci::DigestHex(digest)); }

class Planner {
 public:
  Planner(const ArchiveFile& archive, const oci::Platform& platform) : archive_(archive), platform_(platform) {}

  absl::StatusOr<std::vector<PlannedImage>> FromLayout() {
    ASSIGN_OR_RETURN(std::string text, archive_.Read("index.json", oci::kMaxManifestBytes));
    ASSIGN_OR_RETURN_CTX(auto doc, oci::ParseManifestOrIndex(text, ""), "index.json");
    if (!std::holds_alternative<oci::Index>(doc)) return absl::InvalidArgumentError("index.json is not an index");
    std::vector<std::string> refused;
    for (const oci::Descriptor& d : std::get<oci::Index>(doc).manifests) {
      if (d.has_platform && !Runs(d.platform, platform_)) {
        refused.push_back(Describe(d.platform));
        continue;
      }
      ASSIGN_OR_RETURN_CTX(PlannedImage image, PlanImage(*OriginOf(archive_), platform_, d), d.digest);
      image.target_digest = d.digest;
      RETURN_IF_ERROR(AddName(d, image));
      RETURN_IF_ERROR(Append(std::move(image)));
    }
    if (images_.empty())
      return absl::NotFoundError(absl::StrCat("the archive has no image for ", Describe(platform_),
                                              refused.empty() ? "" : ", only for ", absl::StrJoin(refused, ", ")));
    return std::move(images_);
  }

  absl::StatusOr<std::vector<PlannedImage>> FromDockerSave() {
    ASSIGN_OR_RETURN(std::string text, archive_.Read("manifest.json", oci::kMaxManifestBytes));
    ASSIGN_OR_RETURN_CTX(std::vector<oci::DockerSaveImage> list, oci::ParseDockerSaveManifest(text), "manifest.json");
    for (const oci::DockerSaveImage& item : list) {
      ASSIGN_OR_RETURN_CTX(PlannedImage image, FromDockerSaveItem(item), item.config);
      RETURN_IF_ERROR(Append(std::move(image)));
    }
    if (images_.empty()) return absl::NotFoundError("the archive has no image");
    return std::move(images_);
  }

 private:
  // Two names of one image come as two entries; they become one image with both.
  absl::Status Append(PlannedImage image) {
    for (PlannedImage& have : images_) {
      if (have.id != image.id || have.target_digest != image.target_digest) continue;
      for (std::string& tag : image.tags)
        if (std::find(have.tags.begin(), have.tags.end(), tag) == have.tags.end()) have.tags.push_back(std::move(tag));
      return absl::OkStatus();
    }
    if (images_.size() >= kMaxImages)
      return absl::InvalidArgumentError(absl::StrCat("the archive has more than ", kMaxImages, " images"));
    images_.push_back(std::move(image));
    return absl::OkStatus();
  }

  absl::StatusOr<PlannedImage> FromDockerSaveItem(const oci::DockerSaveImage& item) {
    PlannedImage image;
    ASSIGN_OR_RETURN(std::string text, archive_.Read(item.config, oci::kMaxConfigBytes));
    RETURN_IF_ERROR(TakeConfig(text, platform_, image));
    // The configuration's name is its digest: "<hex>.json", or "blobs/sha256/<hex>" from Docker 25 on.
    const absl::string_view base =
        absl::StripSuffix(absl::string_view(item.config).substr(item.config.rfind('/') + 1), ".json");
    if (base.size() == 64 && base != oci::DigestHex(image.id))
      return absl::DataLossError(absl::StrCat("the configuration has the digest ", image.id));
    if (image.config.diff_ids.size() != item.layers.size())
      return absl::InvalidArgumentError(absl::StrCat("manifest.json has ", item.layers.size(),
                                                     " layers, the configuration ", image.config.diff_ids.size()));
    for (size_t i = 0; i < item.layers.size(); ++i) {
      ASSIGN_OR_RETURN(ArchiveFile::Extent where, archive_.Find(item.layers[i]));
      image.layers.push_back({image.config.diff_ids[i], "", where});
    }
    for (const std::string& tag : item.repo_tags) {
      ASSIGN_OR_RETURN(Reference ref, ParseReference(tag));
      if (!ref.tag.empty()) image.tags.push_back(ref.Tagged());
    }
    return image;
  }

  // containerd's annotation has the whole name. The standard one has a name from podman and skopeo, but often no more than a tag
  // ("latest"), which names nothing without a repository.
  static absl::Status AddName(const oci::Descriptor& d, PlannedImage& image) {
    auto full = d.annotations.find(kNameAnnotation);
    auto ref = d.annotations.find(kRefAnnotation);
    std::string name;
    if (full != d.annotations.end())
      name = full->second;
    else if (ref != d.annotations.end() && ref->second.find_first_of(":/") != std::string::npos)
      name = ref->second;
    if (name.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(Reference parsed, ParseReference(name));
    if (!parsed.tag.empty()) image.tags.push_back(parsed.Tagged());
    return absl::OkStatus();
  }

  const ArchiveFile& archive_;
  const oci::Platform& platform_;
  std::vector<PlannedImage> images_;
};

absl::Status CheckLayoutVersion(const ArchiveFile& archive) {
  ASSIGN_OR_RETURN(std::string text, archive.Read("oci-layout", 4096));
  ASSIGN_OR_RETURN_CTX(oci::json::Value doc, oci::json::Parse(text, 4096), "oci-layout");
  std::string version;
  RETURN_IF_ERROR_CTX(oci::json::Get(doc, "imageLayoutVersion", version), "oci-layout");
  if (!absl::StartsWith(version, "1."))
    return absl::UnimplementedError(absl::StrCat("image layout version \"", version, "\" is not read, only 1"));
  return absl::OkStatus();
}

// The archive's blobs by their digests.
class ArchiveOrigin final : public BlobOrigin {
 public:
  explicit ArchiveOrigin(const ArchiveFile& archive) : archive_(archive) {}
  absl::StatusOr<std::string> Read(Document, const oci::Descriptor& d, size_t max) const override {
    return archive_.Read(BlobName(d.digest), max);
  }
  absl::StatusOr<ArchiveFile::Extent> Locate(const oci::Descriptor& d) const override {
    return archive_.Find(BlobName(d.digest));
  }
  absl::StatusOr<std::unique_ptr<ByteSource>> Open(const PlannedLayer& layer) const override {
    return FileRange(archive_.fd(), layer.where.offset, layer.where.size);
  }

 private:
  const ArchiveFile& archive_;
};

}  // namespace

std::unique_ptr<BlobOrigin> OriginOf(const ArchiveFile& archive) { return std::make_unique<ArchiveOrigin>(archive); }

absl::StatusOr<std::vector<PlannedImage>> PlanImport(const ArchiveFile& archive, const oci::Platform& platform) {
  Planner planner(archive, platform);
  if (archive.Has("oci-layout") && archive.Has("index.json")) {
    RETURN_IF_ERROR(CheckLayoutVersion(archive));
    return planner.FromLayout();
  }
  if (archive.Has("manifest.json")) return planner.FromDockerSave();
  return absl::InvalidArgumentError(
      "the archive is neither an OCI image layout (oci-layout, index.json) nor docker save's (manifest.json)");
}

oci::Platform HostPlatform() {
  struct utsname name {};
  if (::uname(&name) != 0) return {"amd64", "linux", ""};
  const absl::string_view machine = name.machine;
  if (machine == "x86_64") return {"amd64", "linux", ""};
  if (machine == "aarch64") return {"arm64", "linux", "v8"};
  if (absl::StartsWith(machine, "armv")) return {"arm", "linux", absl::StrCat("v", machine.substr(4, 1))};
  if (machine == "i686" || machine == "i386") return {"386", "linux", ""};
  return {std::string(machine), "linux", ""};
}

}  // namespace wherry::image
