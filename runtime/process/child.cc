// The order of RunProgram: everything that reads files or needs privileges comes first; then all descriptors are closed
// but the standard streams and two of our own, so that no path of the image or the request ("/proc/self/fd/8/…") can lead
// out of the container (CVE-2024-21626); then the credentials go, and execve is what is left.
#include "runtime/process/child.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "runtime/process/program.h"
#include "runtime/process/report.h"
#include "runtime/security/credentials.h"
#include "runtime/security/user.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::process {
namespace {

// Where the two descriptors go that live until execve, and the parent's pidfd until the credentials are set.
constexpr int kOutcome = 3, kReport = 4, kParent = 5;
constexpr int kNotExecuted = 127;
constexpr int kAbove = 16;  // free of those, and of 0 to 2

absl::StatusOr<sys::UniqueFd> Lift(const sys::UniqueFd& fd) {
  sys::UniqueFd lifted(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kAbove));
  if (!lifted.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
  return lifted;
}

// The program may open /dev/stdout, which reopens the pipe by its inode's owner and mode.
absl::Status GiveStream(int fd, uint32_t uid) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return sys::Errno("fstat of a standard stream");
  if (S_ISFIFO(st.st_mode) && st.st_uid != uid && ::fchown(fd, uid, static_cast<gid_t>(-1)) != 0)
    return sys::Errno("fchown of a standard stream");
  return absl::OkStatus();
}

absl::Status GiveStreamsTo(const sys::UserNamespace& users, const Stdio& stdio) {
  for (const sys::UniqueFd* stream : {&stdio.in, &stdio.out, &stdio.err}) {
    struct stat st {};
    if (!stream->valid() || ::fstat(stream->get(), &st) != 0 || !S_ISFIFO(st.st_mode)) continue;
    if (::fchown(stream->get(), users.root_uid(), users.root_gid()) != 0)
      return sys::Errno("fchown of a standard stream");
  }
  return absl::OkStatus();
}

// The kernel would only say that an argument is invalid.
absl::Status CheckMapped(const shim::v1::User& user, const sys::UserNamespace& users) {
  if (!users.uids.Outside(user.uid()))
    return absl::InvalidArgumentError(absl::StrCat("user ", user.uid(), " is not among the ", users.uids.length,
                                                   " that the pod's user namespace has"));
  for (uint32_t gid : user.groups()) {
    if (!users.gids.Outside(gid))
      return absl::InvalidArgumentError(
          absl::StrCat("group ", gid, " is not among the ", users.gids.length, " that the pod's user namespace has"));
  }
  return absl::OkStatus();
}

absl::Status SetStreams(const Stdio& stdio, uint32_t uid) {
  const sys::UniqueFd* const streams[] = {&stdio.in, &stdio.out, &stdio.err};
  sys::UniqueFd lifted[3];
  for (int fd = 0; fd <= 2; ++fd) {
    ASSIGN_OR_RETURN(lifted[fd], Lift(*streams[fd]));
    RETURN_IF_ERROR(GiveStream(lifted[fd].get(), uid));
  }
  for (int fd = 0; fd <= 2; ++fd) {
    if (::dup2(lifted[fd].get(), fd) < 0) return sys::Errno("dup2 of a standard stream");
  }
  return absl::OkStatus();
}

absl::Status SetTerminal(const rootfs::Pty& pty, const Channels& channels, uint32_t uid) {
  RETURN_IF_ERROR(rootfs::SendMaster(channels.tty_socket.get(), pty.master));
  return rootfs::BecomeTerminal(pty, uid);
}

// Whether "." is below the caller's root: getcwd(2) answers "(unreachable)…" where it is not.
absl::Status CheckInsideRoot() {
  char path[4096];
  const long n = ::syscall(SYS_getcwd, path, sizeof(path));
  if (n < 0) return sys::Errno("getcwd");
  if (path[0] != '/') return absl::PermissionDeniedError("the working directory is outside the container");
  return absl::OkStatus();
}

absl::Status ChangeDirectory(const sys::UniqueFd& root, const std::string& path) {
  const std::string cwd = path.empty() ? "/" : path;
  ASSIGN_OR_RETURN_CTX(sys::UniqueFd directory, sys::OpenInRoot(root.get(), cwd, O_PATH | O_DIRECTORY),
                       "working directory");
  if (::fchdir(directory.get()) != 0) return sys::Errno(absl::StrCat("chdir \"", cwd, "\""));
  return CheckInsideRoot();
}

// Leaves 0 to 2, and the child's three at numbers of their own. Every UniqueFd of this process is invalid afterwards, so
// nothing may return to where they are destroyed.
absl::Status KeepOnlyOwnDescriptors(const Channels& channels) {
  ASSIGN_OR_RETURN(sys::UniqueFd outcome, Lift(channels.outcome));
  ASSIGN_OR_RETURN(sys::UniqueFd report, Lift(channels.report));
  ASSIGN_OR_RETURN(sys::UniqueFd parent, Lift(channels.parent));
  if (::dup3(outcome.get(), kOutcome, O_CLOEXEC) < 0 || ::dup3(report.get(), kReport, O_CLOEXEC) < 0 ||
      ::dup3(parent.get(), kParent, O_CLOEXEC) < 0 || ::syscall(SYS_close_range, kParent + 1, ~0U, 0U) != 0) {
    ReportFailure(report.get(), sys::Errno("dup3 and close_range"));
    ::_exit(kNotExecuted);
  }
  for (sys::UniqueFd* fd : {&outcome, &report, &parent}) (void)fd->release();
  return absl::OkStatus();
}

absl::Status GiveUpPrivileges(const shim::v1::Process& process, const shim::v1::User& user, bool change_directory) {
  RETURN_IF_ERROR(security::ApplyRlimits(process));
  RETURN_IF_ERROR(security::BecomeUser(process, user));
  sys::UniqueFd parent(kParent);
  RETURN_IF_ERROR(DieWithParent(parent));
  parent.reset();
  if (change_directory) {
    ASSIGN_OR_RETURN(sys::UniqueFd root, sys::OpenAt(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
    RETURN_IF_ERROR(ChangeDirectory(root, process.cwd()));
  }
  (void)::umask(022);
  return security::Confine(process, user);
}

// From here on only numbers are descriptors, and failures are reported on the spot.
[[noreturn]] void BecomeProgram(const Inside& inside, const shim::v1::User& user, const Program& program,
                                bool change_directory) {
  absl::Status status = GiveUpPrivileges(inside.process, user, change_directory);
  if (status.ok() && inside.hooks != nullptr) status = inside.hooks->Run(shim::v1::Hook::START_CONTAINER);
  if (status.ok()) status = program.Execute();
  ReportFailure(kReport, status);
  ::_exit(kNotExecuted);
}

}  // namespace

absl::Status JoinCgroups(const shim::v1::Cgroup& cgroup) {
  for (const std::string& directory : cgroup.v1_dirs())
    RETURN_IF_ERROR_CTX(sys::WriteFileAt(AT_FDCWD, absl::StrCat(directory, "/tasks"), "0"), "cgroup");
  return absl::OkStatus();
}

absl::Status PrepareOutside(const shim::v1::Process& process, const sys::UniqueFd& procfs, const Stdio& stdio,
                            const sys::UserNamespace& users) {
  if (process.has_oom_score_adj()) RETURN_IF_ERROR(security::ApplyOomScoreAdj(procfs, process.oom_score_adj()));
  if (!users.valid()) return absl::OkStatus();
  RETURN_IF_ERROR(security::RaiseHardLimits(process));
  return GiveStreamsTo(users, stdio);
}

absl::Status RunProgram(Inside inside, Channels& channels) {
  const shim::v1::Process& process = inside.process;
  ASSIGN_OR_RETURN(sys::UniqueFd root, sys::OpenAt(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  const shim::v1::User& user = inside.user.user;
  if (inside.users.valid()) RETURN_IF_ERROR(CheckMapped(user, inside.users));
  ASSIGN_OR_RETURN(Program program, Program::Prepare(process, inside.user.home));
  WHERRY_FAIL_POINT("program.prepared");
  RETURN_IF_ERROR(ReportUser(channels.report.get(), user));
  RETURN_IF_ERROR(inside.pty != nullptr ? SetTerminal(*inside.pty, channels, user.uid())
                                        : SetStreams(inside.stdio, user.uid()));
  RETURN_IF_ERROR(security::ApplyLabels(inside.procfs, process));
  // On some network file systems root is nobody: then once more as the user.
  absl::Status directory = ChangeDirectory(root, process.cwd());
  const bool as_user = sys::IsErrno(directory, EACCES);
  if (!as_user) RETURN_IF_ERROR(directory);
  WHERRY_FAIL_POINT("program.ready");
  RETURN_IF_ERROR(KeepOnlyOwnDescriptors(channels));
  BecomeProgram(inside, user, program, as_user);
}

}  // namespace wherry::process
