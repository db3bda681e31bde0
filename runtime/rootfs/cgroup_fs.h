#pragma once

#include <string>

#include "absl/status/status.h"
#include "api/shim/v1/shim.pb.h"

namespace wherry::rootfs {

// Shows the container its own cgroup on `target` (the directory fs/cgroup of its sysfs), by the host's layout: a v2 tree, or
// a tmpfs with the v1 hierarchies that `cgroup` names. The caller is in that cgroup and in a cgroup namespace that begins
// there. `label` is the SELinux label of the tmpfs, or empty.
absl::Status MountCgroups(const shim::v1::Cgroup& cgroup, const std::string& label, int target, bool writable);

}  // namespace wherry::rootfs
