// The exec is born in the container's PID namespace, joins the cgroups while it still sees the host's tree, and only then
// enters the mount and cgroup namespaces, and with them the pod's user namespace: one clone, no helper program. Network, IPC and
// UTS are the caller's already.
#include <fcntl.h>
#include <sched.h>

#include <optional>

#include "runtime/process/child.h"
#include "runtime/process/launch.h"
#include "runtime/process/process.h"
#include "runtime/rootfs/pty.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::process {
namespace {

absl::Status EnterContainer(int init_pidfd, const sys::UserNamespace& users) {
  RETURN_IF_ERROR_CTX(sys::SetNamespace(init_pidfd, CLONE_NEWNS | CLONE_NEWCGROUP), "namespaces of the container");
  if (!users.valid()) return absl::OkStatus();
  // Not the init's: it may have made one for itself.
  RETURN_IF_ERROR_CTX(sys::SetNamespace(users.fd.get(), CLONE_NEWUSER), "user namespace of the pod");
  return sys::BecomeNamespaceRoot();
}

absl::Status RunExec(const shim::v1::ExecRequest& request, const PodContext& pod, int init_pidfd, Stdio& stdio,
                     Channels& channels) {
  const shim::v1::Process& process = request.process();
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
  RETURN_IF_ERROR(JoinCgroups(request.cgroup()));
  RETURN_IF_ERROR(PrepareOutside(process, procfs, stdio, pod.users));
  RETURN_IF_ERROR(EnterContainer(init_pidfd, pod.users));
  std::optional<rootfs::Pty> pty;
  if (process.tty()) {
    ASSIGN_OR_RETURN(sys::UniqueFd root, sys::OpenAt(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
    ASSIGN_OR_RETURN_CTX(pty, rootfs::OpenPtyInRoot(root.get(), process.tty_width(), process.tty_height()), "terminal");
  }
  return RunProgram({process, procfs, pod.users, pty ? &*pty : nullptr, std::move(stdio)}, channels);
}

}  // namespace

absl::StatusOr<Launch> Exec(const shim::v1::ExecRequest& request, const PodContext& pod, pid_t init_pid, int init_pidfd,
                            Stdio stdio) {
  ClonePlan plan;
  plan.unified_dir = request.cgroup().unified_dir();
  plan.tty = request.process().tty();
  plan.pid_namespace = init_pidfd;
  auto launch =
      CloneChild(plan, [&](Channels& channels) { return RunExec(request, pod, init_pidfd, stdio, channels); });
  if (!launch.ok() && sys::IsErrno(launch.status(), ESRCH))
    return absl::FailedPreconditionError(absl::StrCat("the container's init, process ", init_pid, ", is gone"));
  return launch;
}

}  // namespace wherry::process
