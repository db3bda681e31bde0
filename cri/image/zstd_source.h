#pragma once

#include <memory>

#include "cri/image/byte_source.h"

namespace wherry::image {

// Decompresses all zstd frames of `from`. Windows beyond 128 MiB are refused, as the zstd tool does.
absl::StatusOr<std::unique_ptr<ByteSource>> UnzstdSource(ByteSource& from);

}  // namespace wherry::image
