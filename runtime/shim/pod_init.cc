// The init of a shared PID namespace only reaps, and ends on SIGTERM from outside the pod (one from inside, which any
// root in a container can send, would end all containers). It stands where processes of the pod can see it, and one with
// CAP_SYS_PTRACE may take it over, so it has nothing worth taking: an empty read-only root in a mount namespace of its
// own, no descriptors, no capabilities, uid 65535 as the pause image has it, the pod's cgroup. It is a fork of the shim,
// not another program: its memory is shared with it copy-on-write.
#include "runtime/shim/pod_init.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/shim/empty_root.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr uint32_t kNobody = 65535;

absl::Status JoinV1(const v1::Cgroup& cgroup) {
  for (const std::string& dir : cgroup.v1_dirs()) {
    RETURN_IF_ERROR(sys::WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/tasks"), "0"));
  }
  return absl::OkStatus();
}

// `nobody` has no capability, and its number is nobody's in the image, if there is room for it.
absl::Status DropPrivileges(uint32_t nobody) {
  for (int cap = 0; ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
    if (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return sys::Errno("PR_CAPBSET_DROP");
  }
  if (::syscall(SYS_setgroups, 0, nullptr) != 0) return sys::Errno("setgroups");
  if (::syscall(SYS_setresgid, nobody, nobody, nobody) != 0) return sys::Errno("setresgid");
  if (::syscall(SYS_setresuid, nobody, nobody, nobody) != 0) return sys::Errno("setresuid");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::Errno("PR_SET_NO_NEW_PRIVS");
  return absl::OkStatus();
}

// What the init needs; the supervisor made it.
struct Plan {
  const v1::Cgroup& cgroup;
  const sys::UserNamespace& users;
  sys::UniqueFd root;  // a detached tmpfs: in a user namespace it could not be made before there is a mount namespace
  int report = -1;
};

absl::Status Confine(const Plan& plan) {
  RETURN_IF_ERROR(JoinV1(plan.cgroup));
  if (::unshare(CLONE_NEWCGROUP) != 0) return sys::Errno("unshare cgroup namespace");
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_RDONLY;
  RETURN_IF_ERROR(EnterEmptyRoot(plan.root.get()));
  if (::mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) != 0) return sys::Errno("make \"/\" read-only");
  const uint32_t nobody = plan.users.valid() ? std::min(plan.users.uids.length, plan.users.gids.length) - 1 : kNobody;
  return DropPrivileges(std::min(nobody, kNobody));
}

[[noreturn]] void ReapForever() {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGTERM);
  (void)::sigprocmask(SIG_SETMASK, &mask, nullptr);
  while (true) {
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&mask, &info);
    if (signal == SIGTERM && info.si_pid == 0) ::_exit(0);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {  // NOLINT: PID 1 reaps whoever comes
    }
  }
}

// The child: says on the report what failed, or closes it, and never returns.
[[noreturn]] void RunInit(const Plan& plan) {
  (void)::prctl(PR_SET_NAME, "wherry-init", 0, 0, 0);
  (void)::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  const absl::Status status = Confine(plan);
  if (!status.ok()) {
    (void)sys::WriteAll(plan.report, status.message());
    ::_exit(1);
  }
  (void)::setsid();
  (void)::syscall(SYS_close_range, 0U, ~0U, 0U);
  ReapForever();
}

absl::StatusOr<sys::CloneResult> CloneInit(const Plan& plan) {
  sys::UniqueFd unified;
  if (!plan.cgroup.unified_dir().empty()) {
    ASSIGN_OR_RETURN(unified, sys::OpenAt(AT_FDCWD, plan.cgroup.unified_dir(), O_PATH | O_DIRECTORY));
  }
  if (plan.users.valid()) {
    return sys::CloneIntoUserNamespace(
        {.user_namespace = plan.users.fd.get(), .namespaces = CLONE_NEWPID, .cgroup = unified},
        [] { return absl::OkStatus(); }, [&] { RunInit(plan); });
  }
  auto clone = sys::CloneProcess(CLONE_NEWPID, unified);
  if (clone.ok() && clone->pid == 0) RunInit(plan);
  return clone;
}

}  // namespace

absl::StatusOr<PodInit> StartPodInit(const v1::Cgroup& cgroup, const sys::UserNamespace& users) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  sys::UniqueFd in(ends[0]), out(ends[1]);
  Plan plan{cgroup, users, sys::UniqueFd(), out.get()};
  ASSIGN_OR_RETURN(plan.root, DetachedTmpfs("4k", "0555", ""));
  ASSIGN_OR_RETURN_CTX(sys::CloneResult clone, CloneInit(plan), "the pod's init");
  PodInit init{clone.pid, std::move(clone.pidfd), sys::UniqueFd()};
  WHERRY_CRASH_POINT("shim.init_cloned");
  out.reset();
  auto report = sys::ReadAll(in.get(), 4096);
  if (!report.ok() || !report->empty())
    return absl::InternalError(absl::StrCat("the pod's init: ", report.ok() ? *report : report.status().ToString()));
  ASSIGN_OR_RETURN(init.pid_namespace, sys::OpenAt(AT_FDCWD, absl::StrCat("/proc/", init.pid, "/ns/pid"), O_RDONLY));
  return init;
}

}  // namespace wherry::shim
