#pragma once

#include "absl/status/status.h"
#include "api/shim/v1/shim.pb.h"

namespace wherry::rootfs {

// The devices that the request names, as nodes below `root` with the host nodes' numbers, modes and owners. Whether they
// may be opened is the device cgroup's business.
absl::Status AddDevices(const shim::v1::Rootfs& rootfs, int root);

// Every node of the host's /dev (privileged containers), in the same folders below the tmpfs `dev`; but not the host's
// terminals and console, which the container has of its own.
absl::Status AddHostDevices(int dev);

}  // namespace wherry::rootfs
