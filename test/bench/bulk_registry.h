#pragma once

#include <string>

#include "runtime/sys/status.h"

// A registry's storage with images that are large as real ones are: six layers, 20,000 small files and some of 8 MB, 300 MB in
// all, half of it text that compresses and half noise that does not. Each pull that is measured takes another one: an image
// pulled again right after its removal would measure how ext4 passes over inodes that were deleted a minute ago.
namespace wherry::bench {

inline constexpr int kBulkImages = 4;  // bulk:0 and so on, with no layer in common

// Writes it to `dir`, which docker-registry then serves as its file system storage
// (https://distribution.github.io/distribution/storage-drivers/filesystem/). The same bytes each time.
absl::Status WriteBulkRegistry(const std::string& dir);

}  // namespace wherry::bench
