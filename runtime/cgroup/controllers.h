#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "runtime/cgroup/cgroup.h"

namespace wherry::cgroup {

// Makes the v2 controllers in `wanted` that the root of the tree has available in the cgroup `mount` + `path`, by enabling
// them in cgroup.subtree_control of each ancestor that does not do so yet. Only what is missing is written: the write
// stops every fork on the node for a moment.
absl::Status EnableControllers(const std::string& mount, const std::string& path,
                               const std::vector<std::string>& wanted);

// The controllers that each of our cgroups has: those of its statistics.
std::vector<std::string> BasicControllers();
// Those that `resources` need beyond them. Each costs every cgroup below memory and its forks time, so they wait for the first who asks.
std::vector<std::string> FurtherControllers(const Resources& resources);

}  // namespace wherry::cgroup
