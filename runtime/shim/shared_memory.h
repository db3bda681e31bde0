#pragma once

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"
#include "runtime/sys/user_namespace.h"

// The tmpfs that all containers of a pod see as /dev/shm.
namespace wherry::shim {

// One of the two, as process::PodContext has them.
struct SharedMemory {
  sys::UniqueFd detached;
  sys::UniqueFd mount_namespace;
};

// With the request's size and label. Kernels before 6.15 cannot clone a mount that is in no namespace (open_tree: EINVAL): for
// them, or when `in_namespace` asks for it, the tmpfs is the root of a mount namespace of its own.
// It belongs to the root of `users`, the pod's user namespace, or to the host's where that is not valid.
absl::StatusOr<SharedMemory> MakeSharedMemory(const v1::SetupPodRequest& request, const sys::UserNamespace& users,
                                              bool in_namespace);

}  // namespace wherry::shim
