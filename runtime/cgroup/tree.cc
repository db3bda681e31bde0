// Removing a cgroup is rmdir(2), bottom up; its files are the kernel's. It fails with EBUSY while a task is left, also one
// that has been killed but still has to leave. There is an event for that on v2 (cgroup.events, "populated"); on v1 the
// only one is the end of each listed process, through its pidfd. Both are waited for, with a bound: a process that does
// not end is the caller's to kill, and its pid, state and the kernel function it waits in are what an operator needs then.

#include "runtime/cgroup/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/cgroup/kill.h"
#include "runtime/cgroup/names.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr size_t kProcsMax = 64 << 20;
constexpr int kRemoveTimeoutMs = 500;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

absl::Status AddChildren(const std::string& dir, std::vector<std::string>& out) {
  std::unique_ptr<DIR, CloseDir> stream(::opendir(dir.c_str()));
  if (!stream) return errno == ENOENT ? absl::OkStatus() : sys::Errno(absl::StrCat("opendir \"", dir, "\""));
  while (const dirent* entry = ::readdir(stream.get())) {
    const absl::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") out.push_back(absl::StrCat(dir, "/", name));
  }
  return absl::OkStatus();
}

bool Remove(const std::string& dir) { return ::rmdir(dir.c_str()) == 0 || errno == ENOENT; }

// One pass from the leaves up. False with errno EBUSY when something is left.
absl::StatusOr<bool> RemovePass(const std::string& dir) {
  ASSIGN_OR_RETURN(std::vector<std::string> dirs, Subtree(dir));
  for (auto it = dirs.rbegin(); it != dirs.rend(); ++it) {
    WHERRY_CRASH_POINT("cgroup.rmdir");
    if (Remove(*it)) continue;
    if (errno != EBUSY && errno != ENOTEMPTY) return sys::Errno(absl::StrCat("rmdir \"", *it, "\""));
    return false;
  }
  return true;
}

}  // namespace

absl::Status CheckPath(const std::string& path) {
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat("cgroup path \"", path, "\" does not begin with '/'"));
  if (path == "/") return absl::OkStatus();
  for (absl::string_view part : absl::StrSplit(absl::string_view(path).substr(1), '/')) {
    if (part.empty() || part == "." || part == ".." || part.size() > 255)
      return absl::InvalidArgumentError(absl::StrCat("cgroup path \"", path, "\" has the component \"", part, "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckBelowRoot(const std::string& path) {
  if (path == "/") return absl::InvalidArgumentError("the root cgroup cannot be killed or removed");
  return CheckPath(path);
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

absl::Status MakeDirs(const std::string& mount, const std::string& path, std::vector<std::string>& made) {
  const std::string dir = path == "/" ? mount : absl::StrCat(mount, path);
  if (path.empty() || path == "/") return absl::OkStatus();
  WHERRY_FAIL_POINT("cgroup.make");
  if (::mkdir(dir.c_str(), 0755) != 0) {
    if (errno == EEXIST) return absl::OkStatus();
    if (errno != ENOENT) return sys::Errno(absl::StrCat("mkdir \"", dir, "\""));
    RETURN_IF_ERROR(MakeDirs(mount, ParentOf(path), made));
    if (::mkdir(dir.c_str(), 0755) != 0)
      return errno == EEXIST ? absl::OkStatus() : sys::Errno(absl::StrCat("mkdir \"", dir, "\""));
  }
  WHERRY_CRASH_POINT("cgroup.made");
  made.push_back(dir);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Subtree(const std::string& dir) {
  std::vector<std::string> out;
  if (::access(dir.c_str(), F_OK) != 0) {
    if (errno == ENOENT) return out;
    return sys::Errno(absl::StrCat("access \"", dir, "\""));
  }
  out.push_back(dir);
  for (size_t next = 0; next < out.size(); ++next) {
    const std::string at = out[next];
    RETURN_IF_ERROR(AddChildren(at, out));
  }
  return out;
}

absl::StatusOr<std::vector<int>> ProcessesBelow(const std::string& dir) {
  ASSIGN_OR_RETURN(std::vector<std::string> dirs, Subtree(dir));
  std::vector<int> out;
  for (const std::string& at : dirs) {
    auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(at, "/", kProcs), kProcsMax);
    if (sys::IsErrno(text.status(), ENOENT) || sys::IsErrno(text.status(), ENODEV)) continue;
    // A threaded cgroup of v2 has no process list; its processes are listed in the domain above it.
    if (sys::IsErrno(text.status(), EOPNOTSUPP)) continue;
    RETURN_IF_ERROR(text.status());
    for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      int pid = 0;
      if (absl::SimpleAtoi(line, &pid) && pid > 0) out.push_back(pid);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

absl::Status RemoveTree(const std::string& dir) {
  WHERRY_FAIL_POINT("cgroup.remove");
  if (Remove(dir)) return absl::OkStatus();
  if (errno != EBUSY && errno != ENOTEMPTY) return sys::Errno(absl::StrCat("rmdir \"", dir, "\""));
  const Deadline deadline(kRemoveTimeoutMs);
  while (true) {
    ASSIGN_OR_RETURN(bool removed, RemovePass(dir));
    if (removed) return absl::OkStatus();
    absl::Status empty = WaitUntilEmpty(dir, deadline);
    if (empty.code() == absl::StatusCode::kDeadlineExceeded)
      return absl::FailedPreconditionError(absl::StrCat("rmdir \"", dir, "\": ", empty.message()));
    RETURN_IF_ERROR(empty);
    ASSIGN_OR_RETURN(removed, RemovePass(dir));
    if (removed) return absl::OkStatus();
    // Empty, and still busy: somebody adds to it, or a task has not quite left (v1 has no event for that).
    if (deadline.LeftMs() == 0)
      return absl::FailedPreconditionError(absl::StrCat("rmdir \"", dir, "\": it stays busy"));
    ::poll(nullptr, 0, 1);
  }
}

}  // namespace wherry::cgroup
