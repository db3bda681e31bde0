#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/settings.h"

namespace wherry::cgroup {

// The settings that `r` means for the v2 cgroup `dir`, in the order in which they are to be written. Reads what it
// depends on: current limits, usage, the parent's cpuset, which weight file the kernel has.
absl::StatusOr<std::vector<Setting>> V2Settings(const std::string& dir, const Resources& r);

// Its hugetlb part, for hosts that have hugetlb alone on v2.
std::vector<Setting> V2HugetlbSettings(const std::string& dir, const Resources& r);

// One entry of Resources::unified.
Setting UnifiedSetting(const std::string& dir, const std::string& file, const std::string& value);

}  // namespace wherry::cgroup
