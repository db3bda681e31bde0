// The wire of the shim protocol. The peer is trusted no further than its uid: lengths and descriptor counts are checked
// before anything is allocated for them, and memory for a body grows only as its bytes arrive.
//
// A header is received on its own, with room for its 4 bytes only. That is what ties descriptors to their frame: the
// kernel hands SCM_RIGHTS over with the first byte of the buffer they were sent with, so a larger read could return the
// end of one frame and the descriptors of the next together.
#include "runtime/shim/frame.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr size_t kGrowth = 64 << 10;

// Takes ownership of every descriptor in `message`, however many the peer sent.
void TakeFds(msghdr& message, std::vector<sys::UniqueFd>& fds) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

absl::StatusOr<ssize_t> FrameReader::Receive(int fd, void* buffer, size_t size) {
  iovec iov{buffer, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameFds)];
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t n;
  do n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN ? absl::StatusOr<ssize_t>(-1) : sys::Errno("recvmsg");
  std::vector<sys::UniqueFd> fds;
  TakeFds(message, fds);
  if ((message.msg_flags & MSG_CTRUNC) != 0) return absl::InvalidArgumentError("a frame has too many descriptors");
  if (!fds.empty()) {
    if (buffer != header_.data()) return absl::InvalidArgumentError("descriptors within a frame");
    frame_.fds = std::move(fds);
  }
  return n;
}

absl::Status FrameReader::TakeHeader() {
  length_ = header_[0] | header_[1] << 8 | header_[2] << 16 | static_cast<size_t>(header_[3]) << 24;
  used_ = 0;
  if (length_ > kMaxFrame) return absl::InvalidArgumentError(absl::StrCat("a frame of ", length_, " bytes"));
  return absl::OkStatus();
}

absl::StatusOr<FrameReader::Result> FrameReader::Read(int fd, Frame& frame) {
  while (header_used_ < header_.size()) {
    ASSIGN_OR_RETURN(ssize_t n, Receive(fd, header_.data() + header_used_, header_.size() - header_used_));
    if (n < 0) return Result::kAgain;
    if (n == 0 && header_used_ == 0) return Result::kEof;
    if (n == 0) return absl::DataLossError("the stream ends within a frame");
    header_used_ += static_cast<size_t>(n);
    if (header_used_ == header_.size()) RETURN_IF_ERROR(TakeHeader());
  }
  while (used_ < length_) {
    if (frame_.body.size() == used_) frame_.body.resize(std::min(length_, used_ + std::max(kGrowth, used_)));
    ASSIGN_OR_RETURN(ssize_t n, Receive(fd, frame_.body.data() + used_, frame_.body.size() - used_));
    if (n < 0) return Result::kAgain;
    if (n == 0) return absl::DataLossError("the stream ends within a frame");
    used_ += static_cast<size_t>(n);
  }
  frame = std::exchange(frame_, Frame{});
  header_used_ = 0;
  return Result::kFrame;
}

absl::Status FrameWriter::Push(const google::protobuf::MessageLite& message, std::vector<sys::UniqueFd> fds) {
  const size_t size = message.ByteSizeLong();
  if (size > kMaxFrame) return absl::ResourceExhaustedError(absl::StrCat("a frame of ", size, " bytes"));
  if (fds.size() > kMaxFrameFds) return absl::InvalidArgumentError("a frame has too many descriptors");
  if (queued_ + size > limit_) return absl::ResourceExhaustedError("the peer does not read");
  Entry entry;
  entry.bytes.reserve(4 + size);
  for (int shift = 0; shift < 32; shift += 8) entry.bytes.push_back(static_cast<char>(size >> shift & 0xff));
  message.AppendPartialToString(&entry.bytes);
  entry.fds = std::move(fds);
  queued_ += entry.bytes.size();
  queue_.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status FrameWriter::Flush(int fd) {
  while (!queue_.empty()) {
    Entry& entry = queue_.front();
    iovec iov{entry.bytes.data() + entry.sent, entry.bytes.size() - entry.sent};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameFds)] = {};
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    if (entry.sent == 0 && !entry.fds.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * entry.fds.size());
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int) * entry.fds.size());
      for (size_t i = 0; i < entry.fds.size(); ++i) {
        const int number = entry.fds[i].get();
        memcpy(CMSG_DATA(c) + i * sizeof(int), &number, sizeof(int));
      }
    }
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return absl::OkStatus();
    if (n < 0) return sys::Errno("sendmsg");
    entry.sent += static_cast<size_t>(n);
    entry.fds.clear();
    if (entry.sent < entry.bytes.size()) continue;
    queued_ -= entry.bytes.size();
    queue_.pop_front();
  }
  return absl::OkStatus();
}

}  // namespace wherry::shim
