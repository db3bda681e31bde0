#include "runtime/sys/process.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <climits>

#include "absl/strings/numbers.h"
#include "runtime/sys/file.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace wherry::sys {
namespace {
constexpr ino_t kProcRootInode = 1;
}

absl::StatusOr<CloneResult> CloneProcess(uint64_t namespaces, const UniqueFd& cgroup) {
  CloneResult result;
  int pidfd = -1;
  clone_args args{};
  args.flags = namespaces | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (cgroup.valid()) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup.get());
  }
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return Errno("clone3");
  result.pid = static_cast<pid_t>(pid);
  if (pid > 0) result.pidfd.reset(pidfd);
  return result;
}

absl::StatusOr<UniqueFd> OpenPidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  // The number of a process that is gone stays taken as long as it names a session or a process group. Of such a number older kernels
  // (6.1) say EINVAL.
  if (!fd.valid()) return Errno(absl::StrCat("pidfd_open ", pid), errno == EINVAL ? ESRCH : errno);
  return fd;
}

absl::Status SetNamespace(int fd, int types) {
  if (::setns(fd, types) != 0) return Errno("setns");
  return absl::OkStatus();
}

absl::Status Unshare(int types) {
  if (::unshare(types) != 0) return Errno("unshare");
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenProcfs() {
  ASSIGN_OR_RETURN(UniqueFd proc, OpenAt(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW));
  struct statfs fs {};
  struct stat st {};
  if (::fstatfs(proc.get(), &fs) != 0 || ::fstat(proc.get(), &st) != 0) return Errno("stat \"/proc\"");
  if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != kProcRootInode)
    return absl::FailedPreconditionError("what is mounted at /proc is not a procfs");
  return proc;
}

absl::StatusOr<UniqueFd> OpenOwnProcFile(const UniqueFd& procfs, const std::string& name, int flags) {
  // The number is the one of the procfs' PID namespace, which may not be ours.
  char self[32];
  const ssize_t n = ::readlinkat(procfs.get(), "self", self, sizeof(self));
  int pid = 0;
  if (n <= 0 || !absl::SimpleAtoi(absl::string_view(self, static_cast<size_t>(n)), &pid))
    return Errno("readlink \"/proc/self\"");
  return OpenBeneath(procfs.get(), absl::StrCat(pid, "/", name), flags);
}

}  // namespace wherry::sys
