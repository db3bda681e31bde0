// How a container ends for sure. cgroup.kill does it on v2 in one write: the kernel walks the tree under its own lock, and
// children that are being forked meanwhile die as well, which no list of pids can promise. The write returns before the
// processes have left; "populated 0" in cgroup.events is the event, signalled through poll(2) as POLLPRI. Where only v1
// exists, pids are signalled through pidfds: a number read from cgroup.procs may belong to somebody else by the time it is
// used, so it is listed once more after its pidfd was opened; if it still is in the cgroup and the pidfd's process has not
// ended, both are the same process.

#include "runtime/cgroup/kill.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/cgroup/names.h"
#include "runtime/cgroup/tree.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr size_t kMaxWatched = 256;  // pidfds open at once
// v1 has no event for a task that has ended but not yet left its cgroup; it is a matter of microseconds.
constexpr int kV1SettleMs = 1;

// None of a process that is gone; nor when descriptors are short, which must not spare those that could be opened.
sys::UniqueFd OpenPidfd(int pid) {
  auto pidfd = sys::OpenPidfd(pid);
  return pidfd.ok() ? *std::move(pidfd) : sys::UniqueFd();
}

bool HasEnded(int pidfd) {
  pollfd p{pidfd, POLLIN, 0};
  return ::poll(&p, 1, 0) > 0;
}

absl::Status StillThere(const std::string& dir) {
  ASSIGN_OR_RETURN(std::vector<int> pids, ProcessesBelow(dir));
  return absl::DeadlineExceededError(
      absl::StrCat("cgroup \"", dir, "\" still has ",
                   pids.empty() ? "a process that cannot be seen from here" : DescribeProcess(pids.front()),
                   pids.size() > 1 ? absl::StrCat(" and ", pids.size() - 1, " more") : ""));
}

bool IsGone(const absl::Status& status) { return sys::IsErrno(status, ENOENT) || sys::IsErrno(status, ENODEV); }

// v2: cgroup.events says whether the whole subtree is populated.
absl::Status WaitForEvent(const std::string& dir, int events, const Deadline& deadline) {
  while (true) {
    // Somebody else may remove the empty cgroup meanwhile: then both calls say ENODEV.
    absl::StatusOr<std::string> text = std::string();
    if (::lseek(events, 0, SEEK_SET) < 0) {
      text = sys::Errno("lseek cgroup.events");
    } else {
      text = sys::ReadAll(events, 4096);
    }
    if (IsGone(text.status())) return absl::OkStatus();
    RETURN_IF_ERROR(text.status());
    if (absl::StrContains(*text, "populated 0")) return absl::OkStatus();
    pollfd p{events, POLLPRI, 0};
    int n = ::poll(&p, 1, deadline.LeftMs());
    if (n < 0 && errno != EINTR) return sys::Errno("poll cgroup.events");
    if (n == 0) return StillThere(dir);
  }
}

// v1: the listed processes' own ends.
absl::Status WaitForProcesses(const std::string& dir, const Deadline& deadline) {
  while (true) {
    ASSIGN_OR_RETURN(std::vector<int> pids, ProcessesBelow(dir));
    if (pids.empty()) return absl::OkStatus();
    bool waited = false;
    for (size_t i = 0; i < std::min(pids.size(), kMaxWatched); ++i) {
      sys::UniqueFd pidfd = OpenPidfd(pids[i]);
      if (!pidfd.valid() || HasEnded(pidfd.get())) continue;
      pollfd p{pidfd.get(), POLLIN, 0};
      int n = ::poll(&p, 1, deadline.LeftMs());
      if (n < 0 && errno != EINTR) return sys::Errno("poll pidfd");
      waited = true;
      if (n == 0) return StillThere(dir);
    }
    if (!waited) {
      if (deadline.LeftMs() == 0) return StillThere(dir);
      ::poll(nullptr, 0, kV1SettleMs);
    }
  }
}

}  // namespace

Deadline::Deadline(int timeout_ms) {
  ::clock_gettime(CLOCK_MONOTONIC, &at_);
  at_.tv_sec += timeout_ms / 1000;
  at_.tv_nsec += timeout_ms % 1000 * 1000000L;
  if (at_.tv_nsec >= 1000000000L) ++at_.tv_sec, at_.tv_nsec -= 1000000000L;
}

int Deadline::LeftMs() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t ns = (at_.tv_sec - now.tv_sec) * 1000000000L + (at_.tv_nsec - now.tv_nsec);
  return ns <= 0 ? 0 : static_cast<int>((ns + 999999) / 1000000);
}

absl::Status WaitUntilEmpty(const std::string& dir, const Deadline& deadline) {
  auto events = sys::OpenAt(AT_FDCWD, absl::StrCat(dir, "/", kEvents), O_RDONLY);
  if (events.ok()) return WaitForEvent(dir, events->get(), deadline);
  if (!IsGone(events.status())) return events.status();
  return WaitForProcesses(dir, deadline);
}

absl::Status KillUnified(const std::string& dir) {
  absl::Status status = sys::WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/", kKill), "1");
  return IsGone(status) && ::access(dir.c_str(), F_OK) != 0 ? absl::OkStatus() : status;
}

absl::Status SignalAll(const std::string& dir) {
  ASSIGN_OR_RETURN(std::vector<int> pids, ProcessesBelow(dir));
  for (size_t from = 0; from < pids.size(); from += kMaxWatched) {
    std::vector<std::pair<int, sys::UniqueFd>> open;
    for (size_t i = from; i < std::min(pids.size(), from + kMaxWatched); ++i)
      open.emplace_back(pids[i], OpenPidfd(pids[i]));
    ASSIGN_OR_RETURN(std::vector<int> again, ProcessesBelow(dir));
    for (const auto& [pid, pidfd] : open) {
      if (!pidfd.valid() || !std::binary_search(again.begin(), again.end(), pid) || HasEnded(pidfd.get())) continue;
      if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH)
        return sys::Errno(absl::StrCat("kill process ", pid));
    }
  }
  return absl::OkStatus();
}

std::string DescribeProcess(int pid) {
  const std::string proc = absl::StrCat("/proc/", pid, "/");
  auto stat = sys::ReadFileAt(AT_FDCWD, proc + "stat", 4096);
  if (!stat.ok()) return absl::StrCat("process ", pid);
  const size_t open = stat->find('('), close = stat->rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat->size())
    return absl::StrCat("process ", pid);
  std::string out =
      absl::StrCat("process ", pid, " ", stat->substr(open, close - open + 1), ", state ", stat->substr(close + 2, 1));
  auto wchan = sys::ReadFileAt(AT_FDCWD, proc + "wchan", 256);
  if (wchan.ok() && !wchan->empty() && *wchan != "0") absl::StrAppend(&out, ", waiting in ", *wchan);
  return out;
}

}  // namespace wherry::cgroup
