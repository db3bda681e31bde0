#pragma once

#include <cstdint>
#include <memory>

#include "cri/image/byte_source.h"

namespace wherry::image {

// `size` bytes of `fd` from `offset` on, by pread(2): threads can share the descriptor. A file that ends before is DataLoss. (Not
// mmap(2): a file that somebody cuts short would kill the process.)
std::unique_ptr<ByteSource> FileRange(int fd, uint64_t offset, uint64_t size);

}  // namespace wherry::image
