#pragma once

#include <vector>

#include "absl/status/status.h"
#include "api/cdi/spec.h"
#include "api/shim/v1/shim.pb.h"
#include "cri/store/records.pb.h"

// Hooks of a device's vendor, run while the container starts. What runs them is runtime/process.
namespace wherry::container {

// Into the container's specification. Unimplemented names a hook of another stage than createContainer and startContainer.
absl::Status AddHooks(const std::vector<cdi::Hook>& hooks, const store::ContainerRecord& record,
                      shim::v1::StartContainerRequest& spec);

// What hooks look at, when there are any: OCI's bundle, a directory with "config.json", whose root.path is the directory "rootfs" in it. It
// is the container's own directory, which only root can enter: the environment may hold secrets.
// Unimplemented in a pod with a user namespace.
absl::Status MakeBundle(const store::PodRecord& pod, const store::ContainerRecord& record,
                        const shim::v1::StartContainerRequest& spec);

}  // namespace wherry::container
