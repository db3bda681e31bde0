// The init of a shared PID namespace only reaps, and ends on SIGTERM from outside the pod (one from inside, which any
// root in a container can send, would end all containers). It stands where processes of the pod can see it, and one with
// CAP_SYS_PTRACE may take it over, so it has nothing worth taking: an empty read-only root in a mount namespace of its
// own, no descriptors, no capabilities, uid 65535 as the pause image has it, the pod's cgroup. It is a fork of the shim,
// not another program: its memory is shared with it copy-on-write.
#include "runtime/shim/pod_init.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/shim/empty_root.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace wherry::shim {
namespace {

constexpr uid_t kNobody = 65535;

absl::Status JoinV1(const v1::Cgroup& cgroup) {
  for (const std::string& dir : cgroup.v1_dirs()) {
    RETURN_IF_ERROR(sys::WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/tasks"), "0"));
  }
  return absl::OkStatus();
}

absl::Status DropPrivileges() {
  for (int cap = 0; ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
    if (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return sys::Errno("PR_CAPBSET_DROP");
  }
  if (::syscall(SYS_setgroups, 0, nullptr) != 0) return sys::Errno("setgroups");
  if (::syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0) return sys::Errno("setresgid");
  if (::syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0) return sys::Errno("setresuid");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::Errno("PR_SET_NO_NEW_PRIVS");
  return absl::OkStatus();
}

absl::Status Confine(const v1::Cgroup& cgroup) {
  RETURN_IF_ERROR(JoinV1(cgroup));
  if (::unshare(CLONE_NEWCGROUP) != 0) return sys::Errno("unshare cgroup namespace");
  ASSIGN_OR_RETURN(sys::UniqueFd root, DetachedTmpfs("4k", "0555"));
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_RDONLY;
  RETURN_IF_ERROR(EnterEmptyRoot(root.get()));
  if (::mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) != 0) return sys::Errno("make \"/\" read-only");
  return DropPrivileges();
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

// The child: says on `report` what failed, or closes it, and never returns.
[[noreturn]] void RunInit(const v1::Cgroup& cgroup, int report) {
  (void)::prctl(PR_SET_NAME, "wherry-init", 0, 0, 0);
  (void)::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  const absl::Status status = Confine(cgroup);
  if (!status.ok()) {
    (void)sys::WriteAll(report, status.message());
    ::_exit(1);
  }
  (void)::setsid();
  (void)::syscall(SYS_close_range, 0U, ~0U, 0U);
  ReapForever();
}

absl::StatusOr<pid_t> CloneInit(const v1::Cgroup& cgroup, sys::UniqueFd* pidfd) {
  sys::UniqueFd unified;
  int pidfd_number = -1;
  clone_args args{};
  args.flags = CLONE_NEWPID | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd_number);
  args.exit_signal = SIGCHLD;
  if (!cgroup.unified_dir().empty()) {
    ASSIGN_OR_RETURN(unified, sys::OpenAt(AT_FDCWD, cgroup.unified_dir(), O_PATH | O_DIRECTORY));
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(unified.get());
  }
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return sys::Errno("clone3 of the pod's init");
  if (pid > 0) pidfd->reset(pidfd_number);
  return static_cast<pid_t>(pid);
}

}  // namespace

absl::StatusOr<PodInit> StartPodInit(const v1::Cgroup& cgroup) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  sys::UniqueFd in(ends[0]), out(ends[1]);
  PodInit init;
  ASSIGN_OR_RETURN(init.pid, CloneInit(cgroup, &init.pidfd));
  if (init.pid == 0) RunInit(cgroup, out.get());
  out.reset();
  auto report = sys::ReadAll(in.get(), 4096);
  if (!report.ok() || !report->empty())
    return absl::InternalError(absl::StrCat("the pod's init: ", report.ok() ? *report : report.status().ToString()));
  ASSIGN_OR_RETURN(init.pid_namespace, sys::OpenAt(AT_FDCWD, absl::StrCat("/proc/", init.pid, "/ns/pid"), O_RDONLY));
  return init;
}

}  // namespace wherry::shim
