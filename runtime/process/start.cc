#include <fcntl.h>
#include <sched.h>

#include "runtime/process/child.h"
#include "runtime/process/launch.h"
#include "runtime/process/process.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::process {
namespace {

// The container's init, from its first instruction.
absl::Status RunInit(const shim::v1::StartContainerRequest& request, const PodContext& pod, Stdio& stdio,
                     Channels& channels) {
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
  RETURN_IF_ERROR(JoinCgroups(request.cgroup()));
  // Only now: the namespace begins where its maker is.
  RETURN_IF_ERROR_CTX(sys::Unshare(CLONE_NEWCGROUP), "cgroup namespace");
  ASSIGN_OR_RETURN(rootfs::Root root, rootfs::Assemble(request, {pod.shm, pod.shm_namespace, procfs}));
  RETURN_IF_ERROR(rootfs::Enter(root));
  const rootfs::Pty* pty = root.pty ? &*root.pty : nullptr;
  return RunProgram({request.process(), procfs, pty, std::move(stdio)}, channels);
}

// Sets the plan's PID namespace; `holder` keeps what it needs open.
absl::Status ChoosePidNamespace(const shim::v1::StartContainerRequest& request, const PodContext& pod,
                                std::optional<pid_t> target_pid, ClonePlan& plan, sys::UniqueFd& holder) {
  switch (request.pid_namespace()) {
    case shim::v1::PID_CONTAINER:
      plan.namespaces |= CLONE_NEWPID;
      return absl::OkStatus();
    case shim::v1::PID_POD:
      if (!pod.pid_namespace.valid()) return absl::FailedPreconditionError("the pod has no PID namespace to share");
      plan.pid_namespace = pod.pid_namespace.get();
      return absl::OkStatus();
    case shim::v1::PID_HOST:
      return absl::OkStatus();
    case shim::v1::PID_TARGET: {
      if (!target_pid) return absl::FailedPreconditionError("the target container does not run");
      ASSIGN_OR_RETURN_CTX(holder, sys::OpenPidfd(*target_pid), "target container");
      plan.pid_namespace = holder.get();
      return absl::OkStatus();
    }
    default:
      return absl::InvalidArgumentError(absl::StrCat("unknown PID namespace mode ", request.pid_namespace()));
  }
}

}  // namespace

absl::StatusOr<Launch> StartContainer(const shim::v1::StartContainerRequest& request, const PodContext& pod,
                                      std::optional<pid_t> target_pid, Stdio stdio) {
  ClonePlan plan;
  sys::UniqueFd target;
  plan.namespaces = CLONE_NEWNS;
  plan.unified_dir = request.cgroup().unified_dir();
  plan.tty = request.process().tty();
  RETURN_IF_ERROR(ChoosePidNamespace(request, pod, target_pid, plan, target));
  return CloneChild(plan, [&](Channels& channels) { return RunInit(request, pod, stdio, channels); });
}

}  // namespace wherry::process
