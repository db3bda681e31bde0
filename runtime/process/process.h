#pragma once

#include <sys/types.h>

#include <optional>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"
#include "runtime/sys/user_namespace.h"

// How a process comes to run in a container: the init (StartContainer) and every later one (Exec). Both clone straight
// from the caller, which must be single-threaded and live in the pod's NET, IPC and UTS namespaces (the shim), and both
// are asynchronous: Launch returns at once, and the outcome arrives on a pipe that the caller polls. With a user namespace of
// the pod's an init has a helper, which is a child of the caller too: it has to reap children that it does not know.
namespace wherry::process {

// The child's ends of its standard streams. For a tty all three stay empty: the child opens the pty itself.
struct Stdio {
  sys::UniqueFd in, out, err;
};

// What all containers of a pod share, as the shim holds it.
struct PodContext {
  sys::UniqueFd shm;            // detached tmpfs of /dev/shm, or invalid with the host's IPC namespace
  sys::UniqueFd shm_namespace;  // instead of `shm` where the kernel (< 6.15) cannot clone detached mounts: a mount
                                // namespace whose only mount, at its root "/", is that tmpfs
  sys::UniqueFd pid_namespace;  // the pod's, with a shared PID namespace
  sys::UserNamespace users;     // the pod's; not valid when that is the host's
};

// A child on its way to execve. `outcome` becomes readable once: with the result, or at end of file.
struct Launch {
  pid_t pid = -1;  // in the caller's PID namespace; the caller reaps it
  sys::UniqueFd pidfd;
  sys::UniqueFd outcome;
  // With a tty: receives the pty master before the outcome (SCM_RIGHTS on this socket); otherwise invalid.
  sys::UniqueFd tty_socket;
  sys::UniqueFd report;  // what the child has to say by then; ReadOutcome's business
};

// How a launch ended: the program runs, or the named step failed (and the child has exited or is about to).
struct Outcome {
  shim::v1::User user;  // as resolved in the rootfs
  sys::UniqueFd tty_master;
};

// Clones a container's init. Nothing is waited for. On failure nothing is left behind.
absl::StatusOr<Launch> StartContainer(const shim::v1::StartContainerRequest& request, const PodContext& pod,
                                      std::optional<pid_t> target_pid, Stdio stdio);

// Clones a process into the running container whose init is `init_pidfd`/`init_pid`.
absl::StatusOr<Launch> Exec(const shim::v1::ExecRequest& request, const PodContext& pod, pid_t init_pid, int init_pidfd,
                            Stdio stdio);

// Reads the outcome; call when `outcome` is readable. A failed step's status has the code for gRPC: NotFound for a
// missing program, PermissionDenied for one that is not executable, InvalidArgument for an unknown user …
absl::StatusOr<Outcome> ReadOutcome(Launch& launch);

}  // namespace wherry::process
