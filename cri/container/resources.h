#pragma once

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

// What a container may do with device nodes: the harmless ones, ptys, making nodes (but not opening them), and `devices`.
// InvalidArgument when a host path is no device.
absl::StatusOr<std::vector<cgroup::DeviceRule>> DeviceRules(
    const google::protobuf::RepeatedPtrField<::runtime::v1::Device>& devices, bool privileged);

}  // namespace wherry::container
