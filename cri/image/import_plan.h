#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/oci/image.h"
#include "api/oci/manifest.h"
#include "cri/image/archive_file.h"

// Which images an archive holds, and where their layers are in it. Two forms exist: an OCI image layout (oci-layout, index.json,
// blobs/) as skopeo, buildx, podman and ctr write it, and docker save's manifest.json. Docker 25 and later write both into one
// file; the layout is preferred then, since it has the manifests, and with them the digests.
namespace wherry::image {

struct PlannedLayer {
  std::string diff_id;
  std::string blob_digest;  // empty in the older docker-save form, which names no digests
  ArchiveFile::Extent where;
};

struct PlannedImage {
  std::string id;                 // digest of the configuration
  std::vector<std::string> tags;  // normalised: "docker.io/library/busybox:latest"
  std::string target_digest;  // of the manifest or index that the archive's name points at; empty when there is none
  std::string target_media_type;  // of a pull only; as is its size
  uint64_t target_size = 0;
  oci::ImageConfig config;
  uint64_t config_bytes = 0;
  std::string config_text;
  std::vector<PlannedLayer> layers;  // lowest first; empty ones included
};

// Reads and verifies all documents, and says for each layer where its blob is. The images are those for `platform`.
// InvalidArgument, DataLoss (a document does not match its digest) or NotFound (nothing for this platform).
absl::StatusOr<std::vector<PlannedImage>> PlanImport(const ArchiveFile& archive, const oci::Platform& platform);

class BlobOrigin;
// The archive as the place that layers are unpacked from; `archive` must outlive it.
std::unique_ptr<BlobOrigin> OriginOf(const ArchiveFile& archive);

// linux and this machine's architecture as Go spells it.
oci::Platform HostPlatform();

}  // namespace wherry::image
