// A real fork, not a shared address space: the child assembles mounts, parses files and allocates, and a fault of it must
// not be one of the supervisor's. The supervisor is small, so that its page tables are copied in about 100 µs.
#include "runtime/process/launch.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/process/report.h"
#include "runtime/security/credentials.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"
#include "runtime/sys/user_namespace.h"

namespace wherry::process {
namespace {

absl::Status OpenChannels(bool tty, Launch& launch, Channels& channels) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  launch.outcome.reset(ends[0]);
  channels.outcome.reset(ends[1]);
  ASSIGN_OR_RETURN(launch.report, MakeReport());
  channels.report.reset(::fcntl(launch.report.get(), F_DUPFD_CLOEXEC, 0));
  if (!channels.report.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
  ASSIGN_OR_RETURN(channels.parent, sys::OpenPidfd(::getpid()));
  if (!tty) return absl::OkStatus();
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return sys::Errno("socketpair");
  launch.tty_socket.reset(ends[0]);
  channels.tty_socket.reset(ends[1]);
  return absl::OkStatus();
}

void ResetSignals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)::sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// keyrings(7). A session keyring is inherited: with wherryd's own, all pods would share their keys. A kernel without keys (ENOSYS) has
// none to share. EPERM is a seccomp filter's word, of an outer runtime, behind which nobody reaches a key.
absl::Status LeaveSessionKeyring(const std::string& selinux_label) {
  if (!selinux_label.empty()) {
    ASSIGN_OR_RETURN(sys::UniqueFd procfs, sys::OpenProcfs());
    // Undone by execve. A keyring with the shim's label would be of no use to the program.
    RETURN_IF_ERROR_CTX(security::WriteProc(procfs, "attr/keycreate", selinux_label), "SELinux label of keys");
  }
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) >= 0 || errno == ENOSYS || errno == EPERM)
    return absl::OkStatus();
  return sys::Errno("keyctl KEYCTL_JOIN_SESSION_KEYRING");
}

[[noreturn]] void RunChild(const ClonePlan& plan, Channels& channels, const Body& body) {
  ResetSignals();
  (void)::umask(0);
  absl::Status status = DieWithParent(channels.parent);
  if (status.ok() && ::setsid() < 0) status = sys::Errno("setsid");
  if (status.ok()) status = LeaveSessionKeyring(plan.selinux_label);
  if (status.ok()) status = body(channels);
  ReportFailure(channels.report.get(), status);
  ::_exit(127);
}

// One clone of a launch: the program's process, or its helper.
struct Birth {
  const ClonePlan& plan;
  const Body& body;
  const sys::UniqueFd& cgroup;
  Channels& channels;
};

absl::StatusOr<sys::CloneResult> CloneOne(const Birth& birth) {
  const ClonePlan& plan = birth.plan;
  if (plan.user_namespace >= 0) {
    return sys::CloneIntoUserNamespace({plan.user_namespace, plan.pid_namespace, plan.namespaces, birth.cgroup},
                                       plan.before, [&] { RunChild(plan, birth.channels, birth.body); });
  }
  auto result = sys::CloneProcess(plan.namespaces, birth.cgroup);
  if (result.ok() && result->pid == 0) RunChild(plan, birth.channels, birth.body);
  return result;
}

void Kill(const sys::CloneResult& child) {
  (void)::kill(child.pid, SIGKILL);
  (void)::waitpid(child.pid, nullptr, 0);
}

// Clones with the caller's "PID namespace for children" set for this one child only; into a user namespace it is the go-between's.
absl::StatusOr<sys::CloneResult> Clone(const Birth& birth) {
  if (birth.plan.pid_namespace < 0 || birth.plan.user_namespace >= 0) return CloneOne(birth);
  RETURN_IF_ERROR_CTX(sys::SetNamespace(birth.plan.pid_namespace, CLONE_NEWPID), "PID namespace of the container");
  auto result = CloneOne(birth);
  absl::Status back = sys::SetNamespace(birth.channels.parent.get(), CLONE_NEWPID);
  if (back.ok()) return result;
  if (result.ok()) Kill(*result);
  return sys::Annotate(back, "back to the supervisor's PID namespace");
}

absl::Status CloneHelper(const ClonePlan& plan, const sys::UniqueFd& cgroup, const sys::CloneResult& child,
                         Channels& channels) {
  ClonePlan own;
  own.namespaces = CLONE_NEWNS;
  own.pid_namespace = child.pidfd.get();
  return Clone({own, plan.helper, cgroup, channels}).status();
}

}  // namespace

absl::StatusOr<Launch> CloneChild(const ClonePlan& plan, const Body& body) {
  Launch launch;
  Channels channels;
  RETURN_IF_ERROR(OpenChannels(plan.tty, launch, channels));
  sys::UniqueFd cgroup;
  if (!plan.unified_dir.empty()) {
    ASSIGN_OR_RETURN_CTX(cgroup, sys::OpenAt(AT_FDCWD, plan.unified_dir, O_PATH | O_DIRECTORY), "cgroup");
  }
  ASSIGN_OR_RETURN(sys::CloneResult clone, Clone({plan, body, cgroup, channels}));
  if (plan.helper) {
    if (absl::Status helper = CloneHelper(plan, cgroup, clone, channels); !helper.ok()) {
      Kill(clone);
      return helper;
    }
  }
  launch.pid = clone.pid;
  launch.pidfd = std::move(clone.pidfd);
  return launch;
}

absl::Status DieWithParent(const sys::UniqueFd& parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return sys::Errno("PR_SET_PDEATHSIG");
  pollfd poll{parent.get(), POLLIN, 0};
  if (::poll(&poll, 1, 0) != 0) return absl::AbortedError("the supervisor is gone");
  return absl::OkStatus();
}

}  // namespace wherry::process
