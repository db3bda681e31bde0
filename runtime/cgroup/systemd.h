#pragma once

#include <memory>
#include <string>

#include "runtime/cgroup/cgroup.h"

namespace wherry::cgroup {

// Whether systemd is this host's init: sd_booted(3), and process 1 bears its name, so that a /run shared with a host is not enough.
bool IsBootedWithSystemd();

// The cgroup that systemd has delegated to the caller's service (Delegate=yes), as a path below the root of `cgroups`. NotFound when it
// has not.
absl::StatusOr<std::string> DelegatedCgroup(Cgroups& cgroups);

// The systemd driver over `v2`, which must have the layout "v2". Paths whose last component is a scope or a slice are systemd's to make;
// all others are plain cgroups as before, so that pods of before a change of the driver can still be ended. `holder_program` is wherry-shim.
std::unique_ptr<Cgroups> MakeSystemd(std::unique_ptr<Cgroups> v2, std::string holder_program);

}  // namespace wherry::cgroup
