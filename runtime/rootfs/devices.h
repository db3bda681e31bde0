#pragma once

#include "absl/status/status.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/user_namespace.h"

namespace wherry::rootfs {

// The devices that the request names, as nodes below `root` with the host nodes' numbers, modes and owners, unless it names
// others: an owner that it names is an id in `users`. Whether they may be opened is the device cgroup's business.
// InvalidArgument: not a device, or an owner that `users` does not map.
absl::Status AddDevices(const shim::v1::Rootfs& rootfs, int root, const sys::UserNamespace& users);

// Every node of the host's /dev (privileged containers), in the same folders below the tmpfs `dev`; but not the host's
// terminals and console, which the container has of its own.
absl::Status AddHostDevices(int dev);

}  // namespace wherry::rootfs
