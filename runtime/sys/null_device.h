#pragma once

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// The host's null device, as something that may be handed to a container. Its inode is the host's too, and whoever is root may
// change mode and owner of a file that he can name: of a standard stream by /proc/self/fd. So it is only ever seen through a
// read-only mount: what a device does with bytes is not concerned, and everything that would change the inode is EROFS.
namespace wherry::sys {

// A detached read-only mount of it. FailedPrecondition when what is at /dev/null is something else.
absl::StatusOr<UniqueFd> MountNullDevice();

// Opened through such a mount, which nothing else refers to; `access` is O_RDONLY or O_WRONLY.
absl::StatusOr<UniqueFd> OpenNullDevice(int access);

}  // namespace wherry::sys
