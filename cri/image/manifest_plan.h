#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "api/oci/manifest.h"
#include "cri/image/blob_origin.h"
#include "cri/image/import_plan.h"

// From a manifest or index to one image: the part of planning that archives and registries share.
namespace wherry::image {

// Follows `d`, whose contents are read from `origin`, through indexes down to the manifest for `platform`, and reads the
// configuration. Every document is checked against its digest and size. InvalidArgument, DataLoss or NotFound (no such platform).
absl::StatusOr<PlannedImage> PlanImage(const BlobOrigin& origin, const oci::Platform& platform,
                                       const oci::Descriptor& d);
// The same for a document that is at hand; `media_type` is what led to it, or "".
absl::StatusOr<PlannedImage> PlanDocument(const BlobOrigin& origin, const oci::Platform& platform,
                                          const std::string& text, absl::string_view media_type);

// Fills in what the configuration says. FailedPrecondition when the image is for another platform.
absl::Status TakeConfig(const std::string& text, const oci::Platform& platform, PlannedImage& image);

// Whether a machine that is `host` runs what is built for `image`.
bool Runs(const oci::Platform& image, const oci::Platform& host);
std::string Describe(const oci::Platform& platform);  // "linux/arm64/v8"

}  // namespace wherry::image
