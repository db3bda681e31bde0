#pragma once

#include <memory>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/layout.h"

namespace wherry::cgroup {

// The v1 hierarchies of `layout`, with its v2 tree beside them if there is one (hybrid).
std::unique_ptr<Cgroups> MakeV1(Layout layout);

}  // namespace wherry::cgroup
