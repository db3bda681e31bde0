#include "cri/image/tar_rebuild.h"

#include <fcntl.h>
#include <isa-l/crc64.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "cri/image/path_walk.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

// The file whose contents are being read. Whatever goes wrong with it is said once.
class OpenFile {
 public:
  OpenFile(sys::UniqueFd root, const Rebuild& to) : to_(to), walk_(std::move(root)) {}

  absl::Status Read(const pb::IndexPayload& part) {
    const bool next = part.path() != path_ || part.offset() < end_;
    if (next) {
      RETURN_IF_ERROR(Close());
      path_ = part.path();
      Fail(Open());
    }
    if (status_.ok()) Fail(CheckHole(end_, part.offset()));
    end_ = part.offset() + part.size();
    return Copy(part);
  }

  absl::Status Close() {
    if (path_.empty()) return absl::OkStatus();
    struct stat st {};
    if (status_.ok() && ::fstat(file_.get(), &st) == 0) Fail(CheckHole(end_, static_cast<uint64_t>(st.st_size)));
    if (!status_.ok()) RETURN_IF_ERROR(to_.broken(path_, status_));
    if (status_.ok() && to_.file) to_.file(path_, sum_);
    path_.clear();
    status_ = absl::OkStatus();
    sum_ = end_ = 0;
    return absl::OkStatus();
  }

 private:
  void Fail(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }

  absl::Status Open() {
    std::vector<absl::string_view> parts = SplitPath(path_);
    if (parts.empty()) return absl::DataLossError("the index names the root as a file");
    const std::string base(parts.back());
    parts.pop_back();
    ASSIGN_OR_RETURN(const int dir, walk_.Find(parts));
    ASSIGN_OR_RETURN(file_, sys::OpenAt(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    struct stat st {};
    if (::fstat(file_.get(), &st) != 0) return sys::Errno("fstat");
    return S_ISREG(st.st_mode) ? absl::OkStatus() : absl::DataLossError("is no file any more");
  }

  // What the archive left out reads as zeros. File systems may have written them all the same.
  absl::Status CheckHole(uint64_t begin, uint64_t end) {
    while (begin < end) {
      const off_t data = ::lseek(file_.get(), static_cast<off_t>(begin), SEEK_DATA);
      if (data < 0 && errno == ENXIO) return absl::OkStatus();
      if (data < 0) return sys::Errno("lseek SEEK_DATA");
      begin = static_cast<uint64_t>(data);
      if (begin >= end) return absl::OkStatus();
      ASSIGN_OR_RETURN(const absl::string_view bytes, Get(begin, end - begin));
      if (bytes.empty()) return absl::OkStatus();
      if (bytes.find_first_not_of('\0') != absl::string_view::npos)
        return absl::DataLossError("has contents where it had a hole");
      begin += bytes.size();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<absl::string_view> Get(uint64_t offset, uint64_t size) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(size, buffer_.size()));
    ssize_t n = 0;
    do {
      n = ::pread(file_.get(), buffer_.data(), want, static_cast<off_t>(offset));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return sys::Errno("read");
    return absl::string_view(buffer_.data(), static_cast<size_t>(n));
  }

  absl::Status Copy(const pb::IndexPayload& part) {
    uint64_t at = part.offset();
    while (status_.ok() && at < end_) {
      absl::StatusOr<absl::string_view> bytes = Get(at, end_ - at);
      if (bytes.ok() && bytes->empty()) bytes = absl::DataLossError("is shorter than it was");
      if (!bytes.ok()) {
        Fail(bytes.status());
        break;
      }
      sum_ = ::crc64_ecma_refl(sum_, reinterpret_cast<const unsigned char*>(bytes->data()), bytes->size());
      RETURN_IF_ERROR(to_.bytes(*bytes));
      at += bytes->size();
    }
    return absl::OkStatus();
  }

  const Rebuild& to_;
  PathWalk walk_;
  std::vector<char> buffer_ = std::vector<char>(kChunk);
  std::string path_;
  sys::UniqueFd file_;
  absl::Status status_;
  uint64_t end_ = 0, sum_ = 0;
};

}  // namespace

absl::StatusOr<const pb::IndexRecord*> RebuildTar(int root, IndexReader& index, const Rebuild& to) {
  ASSIGN_OR_RETURN(sys::UniqueFd top, sys::OpenAt(root, ".", O_RDONLY | O_DIRECTORY));
  OpenFile file(std::move(top), to);
  while (true) {
    ASSIGN_OR_RETURN(const pb::IndexRecord* record, index.Next());
    if (record != nullptr && record->has_payload()) {
      RETURN_IF_ERROR(file.Read(record->payload()));
    } else if (record != nullptr && record->has_raw()) {
      RETURN_IF_ERROR(file.Close());
      RETURN_IF_ERROR(to.bytes(record->raw()));
    } else {
      RETURN_IF_ERROR(file.Close());
      return record;
    }
  }
}

}  // namespace wherry::image
