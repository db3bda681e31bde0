#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cri/config/config.h"
#include "runtime/cgroup/cgroup.h"

namespace wherry::server {

// The configuration with a driver for "auto", and with the path of its slice as the parent if that is systemd. FailedPrecondition when
// this host cannot have the driver that was asked for.
absl::StatusOr<config::Config> ChooseCgroupDriver(config::Config config);

// The directory of the cgroup in which shims are to live, made if it is not there.
absl::StatusOr<std::string> ShimsCgroup(const config::Config& config, cgroup::Cgroups& cgroups);

}  // namespace wherry::server
