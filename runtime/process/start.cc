// An init assembles its own tree and then becomes the program. That takes the host's root, and a PID namespace that belongs to
// the pod's user namespace takes a first process that is not the host's root. So with a user namespace there are two: the init
// waits, and a helper beside it, outside the user namespace, assembles the tree, hands it over and ends.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "runtime/process/child.h"
#include "runtime/process/handover.h"
#include "runtime/process/hooks.h"
#include "runtime/process/launch.h"
#include "runtime/process/process.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/security/user.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"
#include "runtime/sys/user_namespace.h"

namespace wherry::process {
namespace {

// A container's tree, and who its program is by the files in it.
struct Inner {
  rootfs::Root root;
  security::ResolvedUser user;
};

// What only the host's root can do with the container's cgroup, up to a complete tree. The user is looked up before there are masks: what
// is hidden from the program still says who it is.
absl::StatusOr<Inner> AssembleRoot(const shim::v1::StartContainerRequest& request, const PodContext& pod,
                                   const sys::UniqueFd& procfs, const Hooks* hooks) {
  WHERRY_FAIL_POINT("init.born");
  RETURN_IF_ERROR(JoinCgroups(request.cgroup()));
  // Only now: the namespace begins where its maker is.
  RETURN_IF_ERROR_CTX(sys::Unshare(CLONE_NEWCGROUP), "cgroup namespace");
  WHERRY_FAIL_POINT("init.in_cgroup");
  Inner inner;
  rootfs::Root& root = inner.root;
  ASSIGN_OR_RETURN(root, rootfs::Assemble(request, {pod.shm, pod.shm_namespace, procfs, pod.users}));
  WHERRY_FAIL_POINT("init.assembled");
  if (hooks != nullptr) RETURN_IF_ERROR(hooks->Run(shim::v1::Hook::CREATE_CONTAINER));
  ASSIGN_OR_RETURN(inner.user, security::ResolveUser(root.directory.get(), request.process().user()));
  RETURN_IF_ERROR(rootfs::Protect(request.rootfs(), root));
  RETURN_IF_ERROR(rootfs::Enter(root));
  return inner;
}

// The container's init, from its first instruction.
absl::Status RunInit(const shim::v1::StartContainerRequest& request, const PodContext& pod, Stdio& stdio,
                     Channels& channels) {
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
  std::optional<Hooks> prepared;
  if (request.has_hooks()) {
    ASSIGN_OR_RETURN(prepared, Hooks::Prepare(request.hooks(), procfs));
  }
  const Hooks* const hooks = prepared ? &*prepared : nullptr;
  ASSIGN_OR_RETURN(Inner inner, AssembleRoot(request, pod, procfs, hooks));
  RETURN_IF_ERROR(PrepareOutside(request.process(), procfs, stdio, pod.users));
  const rootfs::Pty* pty = inner.root.pty ? &*inner.root.pty : nullptr;
  return RunProgram({request.process(), inner.user, procfs, pod.users, pty, std::move(stdio), hooks}, channels);
}

// The helper of an init that is in a user namespace: it makes the tree as the host's root, and a mount namespace of it that
// belongs to the user namespace. The kernel locks the mounts in there together (mount_namespaces(7)), so that not even root in
// the container can lift a mask or a read-only flag.
absl::Status RunHelper(const shim::v1::StartContainerRequest& request, const PodContext& pod, Handover& handover) {
  handover.to.reset();
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
  ASSIGN_OR_RETURN(Inner inner, AssembleRoot(request, pod, procfs, nullptr));
  RETURN_IF_ERROR_CTX(sys::SetNamespace(pod.users.fd.get(), CLONE_NEWUSER), "user namespace of the pod");
  RETURN_IF_ERROR_CTX(sys::Unshare(CLONE_NEWNS), "mount namespace of the container");
  Tree tree;
  tree.mounts.reset(::openat(procfs.get(), "self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!tree.mounts.valid()) return sys::Errno("open \"/proc/self/ns/mnt\"");
  tree.pty = std::move(inner.root.pty);
  tree.user = std::move(inner.user);
  WHERRY_FAIL_POINT("init.hand_over");
  RETURN_IF_ERROR(SendTree(handover.from.get(), tree));
  ::_exit(0);
}

// The init itself, born into the user namespace.
absl::Status RunMappedInit(const shim::v1::StartContainerRequest& request, const PodContext& pod, Stdio& stdio,
                           Handover& handover, Channels& channels) {
  handover.from.reset();
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
  RETURN_IF_ERROR(JoinCgroups(request.cgroup()));
  RETURN_IF_ERROR_CTX(sys::Unshare(CLONE_NEWCGROUP), "cgroup namespace");
  WHERRY_FAIL_POINT("init.mapped");
  auto tree = ReceiveTree(handover.to.get());
  if (absl::IsAborted(tree.status())) ::_exit(127);  // the helper has reported why, or was killed
  RETURN_IF_ERROR(tree.status());
  RETURN_IF_ERROR_CTX(sys::SetNamespace(tree->mounts.get(), CLONE_NEWNS), "mount namespace of the container");
  RETURN_IF_ERROR(sys::BecomeNamespaceRoot());
  const rootfs::Pty* pty = tree->pty ? &*tree->pty : nullptr;
  return RunProgram({request.process(), tree->user, procfs, pod.users, pty, std::move(stdio), nullptr}, channels);
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

absl::StatusOr<Launch> StartMapped(const shim::v1::StartContainerRequest& request, const PodContext& pod,
                                   ClonePlan plan, Stdio& stdio) {
  ASSIGN_OR_RETURN(Handover handover, Handover::Make());
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
  plan.user_namespace = pod.users.fd.get();
  plan.before = [&] { return PrepareOutside(request.process(), procfs, stdio, pod.users); };
  plan.helper = [&](Channels&) { return RunHelper(request, pod, handover); };
  return CloneChild(plan, [&](Channels& channels) { return RunMappedInit(request, pod, stdio, handover, channels); });
}

}  // namespace

absl::StatusOr<Launch> StartContainer(const shim::v1::StartContainerRequest& request, const PodContext& pod,
                                      std::optional<pid_t> target_pid, Stdio stdio) {
  // Who would assemble the tree then has more rights over the host than OCI gives to a hook of such a container.
  if (request.has_hooks() && pod.users.valid())
    return absl::UnimplementedError("hooks are not run for a pod with a user namespace");
  ClonePlan plan;
  sys::UniqueFd target;
  plan.unified_dir = request.cgroup().unified_dir();
  plan.tty = request.process().tty();
  plan.selinux_label = request.process().selinux_label();
  RETURN_IF_ERROR(ChoosePidNamespace(request, pod, target_pid, plan, target));
  if (pod.users.valid()) return StartMapped(request, pod, std::move(plan), stdio);
  plan.namespaces |= CLONE_NEWNS;
  return CloneChild(plan, [&](Channels& channels) { return RunInit(request, pod, stdio, channels); });
}

}  // namespace wherry::process
