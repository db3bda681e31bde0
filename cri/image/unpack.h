#pragma once

#include "absl/status/statusor.h"
#include "cri/image/blob_origin.h"
#include "cri/image/import_plan.h"
#include "cri/image/layer_tree.h"

namespace wherry::image {

// Where a layer goes: an empty directory and an empty file of the caller's own.
struct LayerOutput {
  sys::UniqueFd tree;
  sys::UniqueFd index;  // see layer_index.h
};

struct UnpackedLayer {
  LayerUsage usage;
  std::string index_digest;
  uint64_t tar_bytes = 0;
  bool rebuildable =
      false;  // from index and tree: false when entries replaced others, so that the contents of those are lost
  int64_t root_mtime_ns = 0;
};

// One layer, from where it is to a directory, in one pass:
//   origin → hash (blob digest) → decompress → hash (diffID) → recorder → tar reader → directory
// What was written is to be thrown away on error. OK means that the blob's digest and size and
// the diffID are right and all entries are written (not synced). Blocking; safe to run in several threads at once.
absl::StatusOr<UnpackedLayer> UnpackLayer(const BlobOrigin& origin, const PlannedLayer& layer, LayerOutput into,
                                          const LayerLimits& limits, DiskBudget& budget);

}  // namespace wherry::image
