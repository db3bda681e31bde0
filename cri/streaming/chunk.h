#pragma once

#include <cstring>
#include <memory>

#include "absl/strings/string_view.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::streaming {

// What one read takes, and so the most that a stream holds on its way to the client. A pipe holds as much by default.
constexpr size_t kChunkBytes = 64 << 10;

// A part of a buffer that is shared by whoever still needs its bytes: between the read that filled it and the last write of it
// to a socket nothing is copied. Or the bytes are the next ones in a pipe of ours, and never come into our memory.
struct Chunk {
  std::shared_ptr<char[]> buffer{};
  size_t begin = 0;
  size_t size = 0;
  std::shared_ptr<const sys::UniqueFd> pipe{};  // the end to read from; `buffer` is null then

  absl::string_view view() const { return {buffer.get() + begin, size}; }  // of one in memory

  static Chunk Copy(absl::string_view text) {
    Chunk out{std::make_shared<char[]>(text.size()), 0, text.size(), {}};
    std::memcpy(out.buffer.get(), text.data(), text.size());
    return out;
  }
};

// What is to be written next: bytes in memory, or so many out of a pipe.
struct Piece {
  const char* data = nullptr;
  size_t size = 0;
  int pipe = -1;
};

}  // namespace wherry::streaming
