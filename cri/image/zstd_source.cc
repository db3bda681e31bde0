#include "cri/image/zstd_source.h"

#include <zstd.h>

#include <vector>

#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kMaxWindowLog = 27;

struct FreeContext {
  void operator()(ZSTD_DCtx* ctx) const { ZSTD_freeDCtx(ctx); }
};
using Context = std::unique_ptr<ZSTD_DCtx, FreeContext>;

class Unzstd final : public ByteSource {
 public:
  Unzstd(ByteSource& from, Context ctx) : from_(from), ctx_(std::move(ctx)), buffer_(kChunk) {}

  absl::StatusOr<absl::string_view> Next() override {
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !flushing_) {
        ASSIGN_OR_RETURN(absl::string_view chunk, from_.Next());
        if (chunk.empty()) {
          if (in_frame_) return absl::DataLossError("the zstd stream is cut short");
          return absl::string_view();
        }
        in_ = {chunk.data(), chunk.size(), 0};
      }
      const size_t left = ZSTD_decompressStream(ctx_.get(), &out, &in_);
      if (ZSTD_isError(left))
        return absl::DataLossError(absl::StrCat("damaged zstd stream: ", ZSTD_getErrorName(left)));
      in_frame_ = left != 0;
      flushing_ = in_frame_ && out.pos == out.size;
    }
    return absl::string_view(buffer_.data(), out.pos);
  }

 private:
  ByteSource& from_;
  Context ctx_;
  std::vector<char> buffer_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool in_frame_ = false;
  bool flushing_ = false;  // the decoder may hold output that did not fit
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> UnzstdSource(ByteSource& from) {
  Context ctx(ZSTD_createDCtx());
  if (ctx == nullptr) return absl::ResourceExhaustedError("no memory for a zstd decoder");
  ZSTD_DCtx_setParameter(ctx.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  return std::unique_ptr<ByteSource>(std::make_unique<Unzstd>(from, std::move(ctx)));
}

}  // namespace wherry::image
