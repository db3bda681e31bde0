#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"
#include "runtime/sys/user_namespace.h"

// The mounts that a request asks for beside the root file system. They are taken from the host before the container's
// tree exists, and attached later, each by descriptor at both ends.
namespace wherry::rootfs {

struct Volume {
  sys::UniqueFd mount;  // detached, with its attributes
  bool directory = false;
};

// One for each of `rootfs.mounts`. Call while the caller's mounts are still peers of the host's: a bidirectional volume
// has to stay one. FailedPrecondition: such a volume's source is not on a shared mount.
// `users` is the pod's user namespace, for idmapped ones.
absl::StatusOr<std::vector<Volume>> TakeVolumes(const shim::v1::Rootfs& rootfs, const sys::UniqueFd& procfs,
                                                const sys::UserNamespace& users);

// Attaches them at their destinations below `root`, in the request's order, so that nested ones find what they are in.
absl::Status AttachVolumes(const shim::v1::Rootfs& rootfs, std::vector<Volume> volumes, int root);

}  // namespace wherry::rootfs
