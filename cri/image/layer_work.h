#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/blob_origin.h"
#include "cri/image/channel.h"
#include "cri/image/layer_tree.h"

// The common end of imports and pulls, in wherry-pull: tells wherryd the plan, unpacks what it lacks, syncs, and says so.
namespace wherry::image {

struct LayerWork {
  int control;
  int staging;
  size_t threads;  // layers at a time
  DiskBudget& budget;
  std::function<pb::PullMessage()> progress = {};  // null: wherryd is told none
};

// What may be written below `dir`: all that is free but a twentieth of the disk.
absl::StatusOr<uint64_t> FreeBytes(int dir);

// The conversation of records.proto from Plan to Done, which it returns unsent.
absl::StatusOr<pb::PullMessage> UnpackImages(const LayerWork& work, const BlobOrigin& origin,
                                             const std::vector<PlannedImage>& images);

}  // namespace wherry::image
