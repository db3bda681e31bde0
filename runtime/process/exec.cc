// The exec is born in the container's PID namespace, joins the cgroups while it still sees the host's tree, and only then
// enters the mount and cgroup namespaces, and with them the pod's user namespace: one clone, no helper program. Network, IPC and
// UTS are the caller's already.
//
// On v2 a cgroup that passes controllers down has no processes of its own. A container that divides its own, as systemd or a container
// runtime in there does, has moved its init further down by then, and the clone fails with EBUSY: the exec is then born where the init is.
#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/process/child.h"
#include "runtime/process/launch.h"
#include "runtime/process/process.h"
#include "runtime/rootfs/pty.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/path.h"
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
  WHERRY_FAIL_POINT("exec.born");
  RETURN_IF_ERROR(JoinCgroups(request.cgroup()));
  RETURN_IF_ERROR(PrepareOutside(process, procfs, stdio, pod.users));
  RETURN_IF_ERROR(EnterContainer(init_pidfd, pod.users));
  WHERRY_FAIL_POINT("exec.entered");
  ASSIGN_OR_RETURN(sys::UniqueFd root, sys::OpenAt(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(const security::ResolvedUser user, security::ResolveUser(root.get(), process.user()));
  std::optional<rootfs::Pty> pty;
  if (process.tty()) {
    ASSIGN_OR_RETURN_CTX(pty, rootfs::OpenPtyInRoot(root.get(), process.tty_width(), process.tty_height()), "terminal");
  }
  return RunProgram({process, user, procfs, pod.users, pty ? &*pty : nullptr, std::move(stdio), nullptr}, channels);
}

// The init's cgroup on v2, which procfs names from the root of the tree on, as a directory below that of the container, `unified_dir`. The
// container cannot choose what it begins with: it sees its own part of the tree only.
absl::StatusOr<std::string> CgroupOfInit(const std::string& unified_dir, pid_t init_pid) {
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenBeneath(procfs.get(), absl::StrCat(init_pid, "/cgroup"), O_RDONLY));
  ASSIGN_OR_RETURN(const std::string text, sys::ReadAll(file.get(), 1 << 20));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "0::")) continue;
    // The directory is a mount point and the container's path in the tree.
    for (size_t at = 0; at != std::string::npos; at = unified_dir.find('/', at + 1)) {
      absl::string_view below = line;
      if (absl::ConsumePrefix(&below, unified_dir.substr(at)) && absl::StartsWith(below, "/"))
        return absl::StrCat(unified_dir, below);
    }
  }
  return absl::NotFoundError(absl::StrCat("process ", init_pid, " is not below \"", unified_dir, "\""));
}

}  // namespace

absl::StatusOr<Launch> Exec(const shim::v1::ExecRequest& request, const PodContext& pod, pid_t init_pid, int init_pidfd,
                            Stdio stdio) {
  ClonePlan plan;
  plan.unified_dir = request.cgroup().unified_dir();
  plan.tty = request.process().tty();
  plan.selinux_label = request.process().selinux_label();
  plan.pid_namespace = init_pidfd;
  const Body body = [&](Channels& channels) { return RunExec(request, pod, init_pidfd, stdio, channels); };
  auto launch = CloneChild(plan, body);
  if (!launch.ok() && sys::IsErrno(launch.status(), EBUSY)) {
    if (auto cgroup = CgroupOfInit(plan.unified_dir, init_pid); cgroup.ok()) {
      plan.unified_dir = *std::move(cgroup);
      launch = CloneChild(plan, body);
    }
  }
  if (!launch.ok() && sys::IsErrno(launch.status(), ESRCH))
    return absl::FailedPreconditionError(absl::StrCat("the container's init, process ", init_pid, ", is gone"));
  return launch;
}

}  // namespace wherry::process
