#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/rootfs/pty.h"
#include "runtime/sys/unique_fd.h"
#include "runtime/sys/user_namespace.h"

// The file system tree of a container, assembled by its init in a mount namespace of its own.
namespace wherry::rootfs {

// What comes from the pod and the host.
struct Surroundings {
  const sys::UniqueFd& shm;            // see process::PodContext
  const sys::UniqueFd& shm_namespace;  //
  const sys::UniqueFd& procfs;         // the host's, verified (sys::OpenProcfs)
  const sys::UserNamespace& users;     // the pod's; not valid when that is the host's
};

struct Root {
  sys::UniqueFd directory;  // the container's "/"
  std::optional<Pty> pty;   // with process.tty
};

// Builds the tree, with nothing masked or protected yet. The caller has a mount namespace of its own, a copy of the host's, and is in the container's PID, IPC,
// network and cgroup namespaces, but in the host's user namespace. It still sees the host's tree at "/". With a user
// namespace of the pod's, everything that is made belongs to the root of that, and so do the caller's file accesses
// (setfsuid(2)) from then on.
// Hooks of the request find the tree at "rootfs" in their bundle.
absl::StatusOr<Root> Assemble(const shim::v1::StartContainerRequest& request, const Surroundings& around);

// Masks and write protection of the assembled tree.
absl::Status Protect(const shim::v1::Rootfs& rootfs, const Root& root);

// Makes the tree the caller's root and lets go of the host's.
absl::Status Enter(const Root& root);

}  // namespace wherry::rootfs
