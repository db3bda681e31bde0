#pragma once

#include <memory>

#include "cri/image/byte_source.h"

namespace wherry::image {

// Inflates all gzip members of `from`, checking each one's CRC and length.
std::unique_ptr<ByteSource> GunzipSource(ByteSource& from);

}  // namespace wherry::image
