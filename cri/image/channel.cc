#include "cri/image/channel.h"

#include <endian.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "runtime/sys/clock.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxErrorText = 4096;

absl::Status SendAll(int socket, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::send(socket, data.data(), data.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::Errno("send");
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status ReceiveAll(int socket, char* to, size_t size) {
  while (size > 0) {
    const ssize_t n = ::recv(socket, to, size, MSG_WAITALL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::Errno("recv");
    if (n == 0) return absl::UnavailableError("the other side has gone");
    to += n;
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

// Protobuf strings must be UTF-8; names in an archive need not be.
std::string Printable(absl::string_view text) {
  std::string out(text.substr(0, kMaxErrorText));
  for (char& c : out)
    if (static_cast<unsigned char>(c) >= 0x7f || static_cast<unsigned char>(c) < 0x20) c = '?';
  return out;
}

}  // namespace

absl::Status Send(int socket, const pb::PullMessage& message) {
  const std::string body = message.SerializeAsString();
  if (body.size() > kMaxPullMessage) return absl::InvalidArgumentError("the image's documents are too large together");
  const uint32_t size = htole32(static_cast<uint32_t>(body.size()));
  char head[4];
  std::memcpy(head, &size, sizeof(head));
  RETURN_IF_ERROR(SendAll(socket, absl::string_view(head, sizeof(head))));
  return SendAll(socket, body);
}

absl::StatusOr<pb::PullMessage> Receive(int socket) {
  uint32_t size = 0;
  RETURN_IF_ERROR(ReceiveAll(socket, reinterpret_cast<char*>(&size), sizeof(size)));
  size = le32toh(size);
  if (size > kMaxPullMessage) return absl::InvalidArgumentError(absl::StrCat("message of ", size, " bytes"));
  std::string body(size, '\0');
  RETURN_IF_ERROR(ReceiveAll(socket, body.data(), size));
  pb::PullMessage message;
  if (!message.ParseFromString(body)) return absl::InvalidArgumentError("malformed message");
  return message;
}

absl::StatusOr<pb::PullMessage> Receive(int socket, absl::Duration patience) {
  const sys::Deadline deadline(patience);
  struct pollfd p = {socket, POLLIN, 0};
  int rc = 0;
  do {
    rc = ::poll(&p, 1, deadline.never() ? -1 : deadline.poll_ms());
  } while ((rc < 0 && errno == EINTR) || (rc == 0 && !deadline.passed()));
  if (rc < 0) return sys::Errno("poll");
  if (rc == 0) return absl::DeadlineExceededError("the other side is silent");
  return Receive(socket);
}

pb::PullMessage FailureMessage(const absl::Status& status) {
  pb::PullMessage message;
  message.mutable_failure()->set_code(static_cast<int>(status.code()));
  message.mutable_failure()->set_message(Printable(status.message()));
  return message;
}

absl::Status FailureStatus(const pb::PullMessage::Failure& failure) {
  const auto code = static_cast<absl::StatusCode>(failure.code());
  const bool known = failure.code() > 0 && failure.code() <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return absl::Status(known ? code : absl::StatusCode::kInternal, failure.message());
}

}  // namespace wherry::image
