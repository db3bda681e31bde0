#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// A layer travels through a chain of sources, each pulling from the one below:
//   file range → hash (blob digest) → decompressor → hash (diffID) → tar reader
// so that its bytes are read once, and checked while they are used.
namespace wherry::image {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes; empty at the end. They stay valid until the next call.
  virtual absl::StatusOr<absl::string_view> Next() = 0;
};

inline constexpr size_t kChunk = 1 << 20;

}  // namespace wherry::image
