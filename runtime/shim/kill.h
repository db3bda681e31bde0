#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"

// SIGKILL for whole groups of processes, without missing one that is being forked meanwhile.
namespace wherry::shim {

// Every process in the cgroup and below. By cgroup.kill (Linux 5.14) in cgroup.unified_dir where that is set and has
// members; and where there is a v1 freezer, by freezing, killing one by one, and thawing. A cgroup that is gone is OK.
absl::Status KillCgroup(const v1::Cgroup& cgroup);

// True when no process is left in the cgroup or below, or it is gone.
bool CgroupIsEmpty(const v1::Cgroup& cgroup);

// The process `root` and its descendants, looked for among the members of the cgroup: children, and those that stayed in
// its session after their parent died.
absl::Status KillTree(pid_t root, const v1::Cgroup& cgroup);

}  // namespace wherry::shim
