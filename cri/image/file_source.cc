#include "cri/image/file_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

class FileRangeSource final : public ByteSource {
 public:
  FileRangeSource(int fd, uint64_t offset, uint64_t size)
      : fd_(fd), offset_(offset), left_(size), buffer_(std::min<uint64_t>(kChunk, size)) {
    ::posix_fadvise(fd, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_SEQUENTIAL);
  }

  absl::StatusOr<absl::string_view> Next() override {
    if (left_ == 0) return absl::string_view();
    const size_t want = static_cast<size_t>(std::min<uint64_t>(left_, buffer_.size()));
    ssize_t n = 0;
    do {
      n = ::pread(fd_, buffer_.data(), want, static_cast<off_t>(offset_));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return sys::Errno("read of the archive");
    if (n == 0) return absl::DataLossError(absl::StrCat("the archive ends ", left_, " bytes too early"));
    offset_ += static_cast<uint64_t>(n);
    left_ -= static_cast<uint64_t>(n);
    return absl::string_view(buffer_.data(), static_cast<size_t>(n));
  }

 private:
  const int fd_;
  uint64_t offset_;
  uint64_t left_;
  std::vector<char> buffer_;
};

}  // namespace

std::unique_ptr<ByteSource> FileRange(int fd, uint64_t offset, uint64_t size) {
  return std::make_unique<FileRangeSource>(fd, offset, size);
}

}  // namespace wherry::image
