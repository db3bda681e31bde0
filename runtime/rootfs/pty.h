#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::rootfs {

struct Pty {
  sys::UniqueFd master, slave;
};

// A new terminal of the devpts whose root directory is `devpts`, `columns` by `rows` (0 = as the kernel has it).
absl::StatusOr<Pty> OpenPty(int devpts, uint32_t columns, uint32_t rows);

// The same in a running container, whose /dev is no longer ours: FailedPrecondition when /dev/pts is not a devpts.
absl::StatusOr<Pty> OpenPtyInRoot(int root, uint32_t columns, uint32_t rows);

// Makes `pty.slave` the controlling terminal and the standard streams of the caller, a session leader, and gives it to `uid`.
absl::Status BecomeTerminal(const Pty& pty, uint32_t uid);

// Sends the master over a unix socket.
absl::Status SendMaster(int socket, const sys::UniqueFd& master);

// Takes it from there; invalid when none has been sent.
sys::UniqueFd ReceiveMaster(int socket);

}  // namespace wherry::rootfs
