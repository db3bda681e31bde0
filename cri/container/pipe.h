#pragma once

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// Pipes between a process in a container and a streaming session.
namespace wherry::container {

struct Pipe {
  sys::UniqueFd reader, writer;
};

// With room for 1 MiB, or for what the host grants: a session that splices moves more with each call. Both ends block; the
// session makes its own non-blocking, which leaves the process' end as it is.
absl::StatusOr<Pipe> OpenPipe();

absl::Status SetNonBlocking(const sys::UniqueFd& fd);

}  // namespace wherry::container
