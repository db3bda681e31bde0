#pragma once

#include <cstring>
#include <memory>

#include "absl/strings/string_view.h"

namespace wherry::streaming {

// What one read takes, and so the most that a stream holds on its way to the client. A pipe holds as much by default.
constexpr size_t kChunkBytes = 64 << 10;

// A part of a buffer that is shared by whoever still needs its bytes: between the read that filled it and the last write of it
// to a socket nothing is copied.
struct Chunk {
  std::shared_ptr<char[]> buffer{};
  size_t begin = 0;
  size_t size = 0;

  absl::string_view view() const { return {buffer.get() + begin, size}; }

  static Chunk Copy(absl::string_view text) {
    Chunk out{std::make_shared<char[]>(text.size()), 0, text.size()};
    std::memcpy(out.buffer.get(), text.data(), text.size());
    return out;
  }
};

}  // namespace wherry::streaming
