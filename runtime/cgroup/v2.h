#pragma once

#include <memory>
#include <string>

#include "runtime/cgroup/cgroup.h"

namespace wherry::cgroup {

// The v2 tree mounted at `mount`.
std::unique_ptr<Cgroups> MakeV2(std::string mount);

}  // namespace wherry::cgroup
