#include "cri/image/decompress.h"

#include "absl/strings/match.h"
#include "cri/image/gzip_source.h"
#include "cri/image/zstd_source.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

// The source's first bytes once more, then the rest: what the look at the magic number had to take out.
class Prefixed final : public ByteSource {
 public:
  Prefixed(std::string head, ByteSource& from) : head_(std::move(head)), from_(from) {}
  absl::StatusOr<absl::string_view> Next() override {
    if (!given_ && !head_.empty()) {
      given_ = true;
      return absl::string_view(head_);
    }
    return from_.Next();
  }

 private:
  const std::string head_;
  ByteSource& from_;
  bool given_ = false;
};

// Owns the stages below it and counts its output.
class Bounded final : public ByteSource {
 public:
  Bounded(std::unique_ptr<ByteSource> prefixed, std::unique_ptr<ByteSource> decoder, uint64_t max)
      : prefixed_(std::move(prefixed)), decoder_(std::move(decoder)), left_(max), max_(max) {}
  absl::StatusOr<absl::string_view> Next() override {
    ASSIGN_OR_RETURN(absl::string_view chunk, (decoder_ ? *decoder_ : *prefixed_).Next());
    if (chunk.size() > left_)
      return absl::ResourceExhaustedError(absl::StrCat("more than ", max_, " bytes when decompressed"));
    left_ -= chunk.size();
    return chunk;
  }

 private:
  std::unique_ptr<ByteSource> prefixed_;
  std::unique_ptr<ByteSource> decoder_;  // null: plain
  uint64_t left_;
  const uint64_t max_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> Decompress(ByteSource& from, uint64_t max_output) {
  std::string head;
  while (head.size() < 4) {
    ASSIGN_OR_RETURN(absl::string_view chunk, from.Next());
    if (chunk.empty()) break;
    head.append(chunk.data(), chunk.size());
  }
  const bool gzip = absl::StartsWith(head, "\x1f\x8b");
  const bool zstd = absl::StartsWith(head, "\x28\xb5\x2f\xfd");
  auto prefixed = std::make_unique<Prefixed>(std::move(head), from);
  std::unique_ptr<ByteSource> decoder;
  if (gzip) decoder = GunzipSource(*prefixed);
  if (zstd) {
    ASSIGN_OR_RETURN(decoder, UnzstdSource(*prefixed));
  }
  return std::unique_ptr<ByteSource>(std::make_unique<Bounded>(std::move(prefixed), std::move(decoder), max_output));
}

}  // namespace wherry::image
