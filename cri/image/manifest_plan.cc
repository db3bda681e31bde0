#include "cri/image/manifest_plan.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cri/image/sha256.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kMaxIndexDepth = 4;

absl::StatusOr<std::string> ReadVerified(const BlobOrigin& origin, BlobOrigin::Document kind, const oci::Descriptor& d,
                                         size_t max) {
  ASSIGN_OR_RETURN(std::string text, origin.Read(kind, d, max));
  if (text.size() != d.size)
    return absl::DataLossError(absl::StrCat(d.digest, " has ", text.size(), " bytes, its descriptor says ", d.size));
  if (std::string is = Sha256Of(text); is != d.digest)
    return absl::DataLossError(absl::StrCat("the contents of ", d.digest, " have the digest ", is));
  return text;
}

absl::StatusOr<PlannedImage> FromManifest(const BlobOrigin& origin, const oci::Platform& platform,
                                          const oci::Manifest& manifest) {
  PlannedImage image;
  ASSIGN_OR_RETURN_CTX(std::string text,
                       ReadVerified(origin, BlobOrigin::Document::kConfig, manifest.config, oci::kMaxConfigBytes),
                       "config");
  RETURN_IF_ERROR(TakeConfig(text, platform, image));
  if (image.config.diff_ids.size() != manifest.layers.size())
    return absl::InvalidArgumentError(absl::StrCat("the manifest has ", manifest.layers.size(),
                                                   " layers, the configuration ", image.config.diff_ids.size()));
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const oci::Descriptor& layer = manifest.layers[i];
    ASSIGN_OR_RETURN_CTX(ArchiveFile::Extent where, origin.Locate(layer), absl::StrCat("layer ", layer.digest));
    if (where.size != layer.size)
      return absl::DataLossError(
          absl::StrCat("layer ", layer.digest, " has ", where.size, " bytes, the manifest says ", layer.size));
    image.layers.push_back({image.config.diff_ids[i], layer.digest, where});
  }
  return image;
}

absl::StatusOr<PlannedImage> Resolve(const BlobOrigin& origin, const oci::Platform& platform, const oci::Descriptor& d,
                                     int depth);

absl::StatusOr<PlannedImage> ResolveText(const BlobOrigin& origin, const oci::Platform& platform,
                                         const std::string& text, absl::string_view media_type, int depth) {
  ASSIGN_OR_RETURN_CTX(auto doc, oci::ParseManifestOrIndex(text, media_type), "manifest");
  if (std::holds_alternative<oci::Manifest>(doc)) return FromManifest(origin, platform, std::get<oci::Manifest>(doc));
  if (depth >= kMaxIndexDepth) return absl::InvalidArgumentError("indexes are nested too deeply");
  std::vector<std::string> others;
  for (const oci::Descriptor& child : std::get<oci::Index>(doc).manifests) {
    if (!child.has_platform || Runs(child.platform, platform)) return Resolve(origin, platform, child, depth + 1);
    others.push_back(Describe(child.platform));
  }
  return absl::NotFoundError(
      absl::StrCat("the index has no image for ", Describe(platform), ", only for ", absl::StrJoin(others, ", ")));
}

absl::StatusOr<PlannedImage> Resolve(const BlobOrigin& origin, const oci::Platform& platform, const oci::Descriptor& d,
                                     int depth) {
  ASSIGN_OR_RETURN(std::string text, ReadVerified(origin, BlobOrigin::Document::kManifest, d, oci::kMaxManifestBytes));
  return ResolveText(origin, platform, text, d.media_type, depth);
}

}  // namespace

std::string Describe(const oci::Platform& p) {
  return absl::StrCat(p.os, "/", p.architecture, p.variant.empty() ? "" : "/", p.variant);
}

// arm64 is at v8 by default and arm at v7; an image for an older variant of arm runs too.
bool Runs(const oci::Platform& image, const oci::Platform& host) {
  if (image.os != host.os || image.architecture != host.architecture) return false;
  if (host.architecture == "arm" && !image.variant.empty()) return image.variant <= host.variant;
  return image.architecture != "arm64" || image.variant.empty() || image.variant == "v8";
}

absl::Status TakeConfig(const std::string& text, const oci::Platform& platform, PlannedImage& image) {
  image.id = Sha256Of(text);
  image.config_bytes = text.size();
  image.config_text = text;
  ASSIGN_OR_RETURN_CTX(image.config, oci::ParseImageConfig(text), "config");
  const oci::Platform is{image.config.architecture, image.config.os, image.config.variant};
  if (!(is.os.empty() && is.architecture.empty()) && !Runs(is, platform))
    return absl::FailedPreconditionError(
        absl::StrCat("the image is for ", Describe(is), ", this machine is ", Describe(platform)));
  return absl::OkStatus();
}

absl::StatusOr<PlannedImage> PlanImage(const BlobOrigin& origin, const oci::Platform& platform,
                                       const oci::Descriptor& d) {
  return Resolve(origin, platform, d, 0);
}

absl::StatusOr<PlannedImage> PlanDocument(const BlobOrigin& origin, const oci::Platform& platform,
                                          const std::string& text, absl::string_view media_type) {
  return ResolveText(origin, platform, text, media_type, 0);
}

}  // namespace wherry::image
