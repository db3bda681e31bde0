#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"
#include "runtime/sys/unique_fd.h"

// Frames of the shim protocol on a non-blocking unix stream socket: 4 bytes little-endian length, the body, and
// descriptors that travel with the first byte. Both ends of the protocol use it.
namespace wherry::shim {

inline constexpr size_t kMaxFrame = 8 << 20;  // bytes of a body
inline constexpr size_t kMaxFrameFds = 3;     // descriptors of one frame

// Reads frames from a socket. A reader belongs to one socket; after an error the stream is out of step and the socket
// has to be closed.
class FrameReader {
 public:
  struct Frame {
    std::string body;
    std::vector<sys::UniqueFd> fds;
  };
  enum class Result { kFrame, kAgain, kEof };

  // Goes on reading: kFrame when one is complete (then in `frame`), kAgain when the socket has no more for now, kEof when
  // the peer closed it between two frames. Errors: InvalidArgument for a frame over the limits, DataLoss for an end
  // within a frame, and those of recvmsg(2).
  absl::StatusOr<Result> Read(int fd, Frame& frame);

 private:
  absl::StatusOr<ssize_t> Receive(int fd, void* buffer, size_t size);
  absl::Status TakeHeader();

  std::array<unsigned char, 4> header_{};
  size_t header_used_ = 0;
  size_t length_ = 0;  // of the body
  size_t used_ = 0;    // bytes of the body that are there
  Frame frame_;
};

// Writes frames to a socket, and keeps what the peer has not taken yet.
class FrameWriter {
 public:
  // `limit`: bytes that may wait for a peer that does not read.
  explicit FrameWriter(size_t limit) : limit_(limit) {}

  // Appends a frame. ResourceExhausted when the queue or the frame would grow over its limit: drop the peer.
  absl::Status Push(const google::protobuf::MessageLite& message, std::vector<sys::UniqueFd> fds = {});
  // Sends as much as the socket takes now. Errors are those of sendmsg(2): the peer is gone.
  absl::Status Flush(int fd);
  bool empty() const { return queue_.empty(); }

 private:
  struct Entry {
    std::string bytes;
    size_t sent = 0;
    std::vector<sys::UniqueFd> fds;
  };
  size_t limit_;
  std::deque<Entry> queue_;
  size_t queued_ = 0;
};

}  // namespace wherry::shim
