#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cri/image/records.pb.h"

// PullMessages over a stream socket: four bytes of length, little endian, then the message.
namespace wherry::image {

inline constexpr size_t kMaxPullMessage = 32 << 20;

absl::Status Send(int socket, const pb::PullMessage& message);
// Unavailable when the peer has gone; InvalidArgument when what came is too large or no message.
absl::StatusOr<pb::PullMessage> Receive(int socket);
// The same, or DeadlineExceeded when no message begins within `patience`.
absl::StatusOr<pb::PullMessage> Receive(int socket, absl::Duration patience);

pb::PullMessage FailureMessage(const absl::Status& status);
absl::Status FailureStatus(const pb::PullMessage::Failure& failure);

}  // namespace wherry::image
