#pragma once

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/rootfs/pty.h"
#include "runtime/sys/unique_fd.h"
#include "runtime/sys/user_namespace.h"

namespace wherry::rootfs {

// A container's /dev as it is being filled.
struct Dev {
  sys::UniqueFd tmpfs;   // its root directory
  sys::UniqueFd devpts;  // likewise of /dev/pts
};

// A tmpfs with the nodes, links and mounts that every container has, attached on `target`. `shm` is the detached mount that
// becomes /dev/shm. /dev/mqueue is that of the caller's IPC namespace. `users`: see Surroundings.
absl::StatusOr<Dev> MountDev(const shim::v1::StartContainerRequest& request, int target, const sys::UniqueFd& shm,
                             const sys::UserNamespace& users);

// Puts the terminal on /dev/console.
absl::Status MountConsole(const Dev& dev, const Pty& pty);

}  // namespace wherry::rootfs
