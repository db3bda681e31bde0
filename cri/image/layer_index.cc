#include "cri/image/layer_index.h"

#include <sys/stat.h>
#include <zstd.h>

#include <algorithm>

#include "cri/image/file_source.h"
#include "cri/image/zstd_source.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kLevel = 1;
constexpr size_t kMaxRecord = 4 << 20;
constexpr size_t kLengthBytes = 4;

struct FreeContext {
  void operator()(ZSTD_CCtx* ctx) const { ZSTD_freeCCtx(ctx); }
};

class Writer final : public IndexWriter {
 public:
  Writer(sys::UniqueFd file, ZSTD_CCtx* ctx) : file_(std::move(file)), ctx_(ctx), out_(ZSTD_CStreamOutSize()) {}

  absl::Status Add(const pb::IndexRecord& record) override {
    const std::string body = record.SerializeAsString();
    if (body.size() > kMaxRecord) return absl::InternalError("an index record is too large");
    for (size_t i = 0; i < kLengthBytes; ++i) plain_.push_back(static_cast<char>(body.size() >> (8 * i)));
    plain_ += body;
    return plain_.size() < kChunk ? absl::OkStatus() : Compress(ZSTD_e_continue);
  }

  absl::StatusOr<std::string> Finish() override {
    RETURN_IF_ERROR(Compress(ZSTD_e_end));
    return hash_.Digest();
  }

 private:
  absl::Status Compress(ZSTD_EndDirective mode) {
    ZSTD_inBuffer in{plain_.data(), plain_.size(), 0};
    for (bool done = false; !done;) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const size_t left = ZSTD_compressStream2(ctx_.get(), &out, &in, mode);
      if (ZSTD_isError(left)) return absl::InternalError(absl::StrCat("zstd: ", ZSTD_getErrorName(left)));
      const absl::string_view bytes(out_.data(), out.pos);
      hash_.Update(bytes);
      RETURN_IF_ERROR(sys::WriteAll(file_.get(), bytes));
      done = mode == ZSTD_e_end ? left == 0 : in.pos == in.size;
    }
    plain_.clear();
    return absl::OkStatus();
  }

  const sys::UniqueFd file_;
  const std::unique_ptr<ZSTD_CCtx, FreeContext> ctx_;
  std::vector<char> out_;
  std::string plain_;
  Sha256 hash_;
};

absl::StatusOr<uint64_t> SizeOf(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return sys::Errno("fstat of the layer's index");
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<IndexWriter>> IndexWriter::Open(sys::UniqueFd file) {
  ZSTD_CCtx* ctx = ZSTD_createCCtx();
  if (ctx == nullptr) return absl::ResourceExhaustedError("no memory for a zstd encoder");
  ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, kLevel);
  return std::unique_ptr<IndexWriter>(std::make_unique<Writer>(std::move(file), ctx));
}

absl::StatusOr<std::unique_ptr<IndexReader>> IndexReader::Open(sys::UniqueFd file, const std::string& digest) {
  ASSIGN_OR_RETURN(const uint64_t size, SizeOf(file.get()));
  std::unique_ptr<ByteSource> whole = FileRange(file.get(), 0, size);
  HashingSource hashed(*whole);
  for (absl::string_view chunk = "-"; !chunk.empty();) {
    ASSIGN_OR_RETURN(chunk, hashed.Next());
  }
  if (hashed.Digest() != digest) return absl::DataLossError("the layer's index is damaged");
  std::unique_ptr<IndexReader> reader(new IndexReader());
  reader->file_ = std::move(file);
  reader->packed_ = FileRange(reader->file_.get(), 0, size);
  ASSIGN_OR_RETURN(reader->plain_, UnzstdSource(*reader->packed_));
  return reader;
}

// `body_` becomes the next `size` bytes; false when there are none at all.
absl::StatusOr<bool> IndexReader::Fill(size_t size) {
  body_.clear();
  while (body_.size() < size) {
    if (chunk_.empty()) {
      ASSIGN_OR_RETURN(chunk_, plain_->Next());
      if (chunk_.empty() && body_.empty()) return false;
      if (chunk_.empty()) return absl::DataLossError("the layer's index ends in the middle of a record");
    }
    const size_t n = std::min(size - body_.size(), chunk_.size());
    body_.append(chunk_.data(), n);
    chunk_.remove_prefix(n);
  }
  return true;
}

absl::StatusOr<const pb::IndexRecord*> IndexReader::Next() {
  ASSIGN_OR_RETURN(const bool more, Fill(kLengthBytes));
  if (!more) return nullptr;
  size_t size = 0;
  for (size_t i = 0; i < kLengthBytes; ++i)
    size |= static_cast<size_t>(static_cast<unsigned char>(body_[i])) << (8 * i);
  if (size > kMaxRecord) return absl::DataLossError("the layer's index has a record that is too large");
  if (size == 0) {
    record_.Clear();
    return &record_;
  }
  ASSIGN_OR_RETURN(const bool whole, Fill(size));
  if (!whole || !record_.ParseFromString(body_)) return absl::DataLossError("the layer's index cannot be read");
  return &record_;
}

}  // namespace wherry::image
