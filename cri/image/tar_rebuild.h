#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "cri/image/layer_index.h"

// Puts a layer's tar stream together again, from its index and its tree.
namespace wherry::image {

struct Rebuild {
  // Takes the stream's next bytes.
  std::function<absl::Status(absl::string_view bytes)> bytes;
  // A file's contents, or a part, cannot be had, or there are some where there was a hole; the stream goes on without when this is OK.
  std::function<absl::Status(const std::string& path, const absl::Status& why)> broken;
  // All contents of a file were given out; `sum` as in IndexNode. Or `broken` was called, never both for one entry of the stream.
  std::function<void(const std::string& path, uint64_t sum)> file = {};
};

// Ends at the first record of `index` that is no part of the tar stream, and returns it, or nullptr.
absl::StatusOr<const pb::IndexRecord*> RebuildTar(int root, IndexReader& index, const Rebuild& to);

}  // namespace wherry::image
