#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/config/config.h"
#include "cri/store/records.pb.h"
#include "runtime/cgroup/cgroup.h"

// CRI's resource fields as limits of a cgroup.
namespace wherry::container {

// Zero and empty fields mean "leave as it is"; cpu_quota and memory limits of -1 mean "none". InvalidArgument names the
// field that makes no sense on any kernel.
absl::StatusOr<cgroup::Resources> ToCgroup(const ::runtime::v1::LinuxContainerResources& resources);

// An update: fields of `from` that are not zero or empty replace those of `to`; huge page limits by page size, where zero is
// a limit, and unified files by name.
void MergeResources(const ::runtime::v1::LinuxContainerResources& from, ::runtime::v1::LinuxContainerResources& to);

// The handler's limits where the request has none.
void AddBaseLimits(const config::Handler& handler, store::ContainerRecord& record);

// What every container may do with device nodes: the harmless ones, ptys, and making nodes (but not opening them); everything when
// it is privileged.
std::vector<cgroup::DeviceRule> BaseDeviceRules(bool privileged);
// What it may do besides with a device that it asks for, by what is at its host path. InvalidArgument when that is no device.
absl::StatusOr<store::DeviceRule> RuleFor(const ::runtime::v1::Device& device, const struct statx& host);

}  // namespace wherry::container
