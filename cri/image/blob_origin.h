#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "api/oci/manifest.h"
#include "cri/image/byte_source.h"
#include "cri/image/import_plan.h"

// Where an image's documents and layers come from: an archive or a registry. Nothing that an origin gives is verified; its users do
// that, and so an origin need not be trusted.
namespace wherry::image {

class BlobOrigin {
 public:
  enum class Document { kManifest, kConfig };  // a manifest or an index; a configuration
  virtual ~BlobOrigin() = default;
  // The contents of `d`; InvalidArgument when there is more than `max`.
  virtual absl::StatusOr<std::string> Read(Document kind, const oci::Descriptor& d, size_t max) const = 0;
  // The place of a layer's blob, without reading it.
  virtual absl::StatusOr<ArchiveFile::Extent> Locate(const oci::Descriptor& d) const = 0;
  // The layer's bytes as they are stored. Thread-safe.
  virtual absl::StatusOr<std::unique_ptr<ByteSource>> Open(const PlannedLayer& layer) const = 0;
};

}  // namespace wherry::image
