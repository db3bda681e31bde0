// The pidfd is opened first and the start time compared then: the pid cannot be reused while it is looked at, unless it
// had been before, and then the start times differ.
#include "runtime/shim/process_id.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace wherry::shim {

absl::StatusOr<uint64_t> StartTime(pid_t pid) {
  ASSIGN_OR_RETURN(std::string stat, sys::ReadFileAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/stat"), 4096));
  const size_t paren = stat.rfind(')');
  if (paren == std::string::npos) return absl::InternalError("/proc/<pid>/stat has no name");
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(paren + 1), ' ', absl::SkipEmpty());
  uint64_t start = 0;
  if (fields.size() < 20 || !absl::SimpleAtoi(fields[19], &start))
    return absl::InternalError("/proc/<pid>/stat has no start time");
  return start;
}

absl::StatusOr<sys::UniqueFd> OpenProcess(const Process& process) {
  if (process.pid <= 0) return absl::NotFoundError("no process");
  auto pidfd = sys::OpenPidfd(process.pid);
  if (sys::IsErrno(pidfd.status(), ESRCH))
    return absl::NotFoundError(absl::StrCat("process ", process.pid, " has ended"));
  if (!pidfd.ok()) return pidfd;
  auto start = StartTime(process.pid);
  if (!start.ok() || (process.start_time != 0 && *start != process.start_time))
    return absl::NotFoundError(absl::StrCat("process ", process.pid, " is another one by now"));
  return pidfd;
}

bool WaitForEnd(int pidfd, absl::Duration timeout) {
  const sys::Deadline deadline(timeout);
  while (true) {
    pollfd entry{pidfd, POLLIN, 0};
    const int n = ::poll(&entry, 1, deadline.poll_ms());
    if (n > 0) return true;
    if (n == 0 && deadline.passed()) return false;
    if (n < 0 && errno != EINTR) return false;
  }
}

void ReapByPidfd(int pidfd) {
  siginfo_t info{};
  (void)::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
}

}  // namespace wherry::shim
