#pragma once

#include <cstdint>
#include <memory>

#include "cri/image/byte_source.h"

namespace wherry::image {

// A source of the decompressed bytes of `from`: gzip (any number of members, as pigz and others write them), zstd (any number of
// frames), or the bytes themselves. Told apart by their first bytes and not by the media type, which builders get wrong; both
// the blob's digest and the diffID are checked anyway. More than `max_output` bytes is ResourceExhausted, damage is DataLoss,
// and so is an end in the middle of a stream. `from` must outlive the result.
absl::StatusOr<std::unique_ptr<ByteSource>> Decompress(ByteSource& from, uint64_t max_output);

}  // namespace wherry::image
