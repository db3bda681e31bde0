#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "cri/image/layer_index.h"
#include "runtime/sys/unique_fd.h"

// A published layer as those open it who read it: its tree, and its index.
namespace wherry::image {

struct OpenedLayer {
  sys::UniqueFd tree;
  std::unique_ptr<IndexReader> index;
};

// `store` is the image store's directory. DataLoss when the index is not the one that was recorded; FailedPrecondition when none was.
absl::StatusOr<OpenedLayer> OpenLayer(int store, const pb::StoredLayer& layer);

}  // namespace wherry::image
