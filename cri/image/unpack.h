#pragma once

#include "absl/status/statusor.h"
#include "cri/image/blob_origin.h"
#include "cri/image/import_plan.h"
#include "cri/image/layer_tree.h"

namespace wherry::image {

// One layer, from where it is to a directory, in one pass:
//   origin → hash (blob digest) → decompress → hash (diffID) → tar reader → directory
// `into` is empty and the caller's own; its contents are to be thrown away on error. OK means that the blob's digest and size and
// the diffID are right and all entries are written (not synced). Blocking; safe to run in several threads at once.
absl::StatusOr<LayerUsage> UnpackLayer(const BlobOrigin& origin, const PlannedLayer& layer, sys::UniqueFd into,
                                       const LayerLimits& limits, DiskBudget& budget);

}  // namespace wherry::image
