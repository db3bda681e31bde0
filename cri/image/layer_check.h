#pragma once

#include "absl/status/statusor.h"
#include "cri/image/records.pb.h"

namespace wherry::image {

// Compares the layer below `store` (the image store's directory) with its index: every node's type, permissions, owner, time, size,
// attributes and links, every file's contents, and where the index allows it the digest of the whole. What differs is a finding,
// not an error, and so is a layer or an index that is missing. Two things are not looked at: access times, and attributes that no
// image may set, such as security labels.
absl::StatusOr<pb::LayerFindings> CheckLayer(int store, const pb::StoredLayer& layer);

}  // namespace wherry::image
