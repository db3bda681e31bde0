#include "runtime/sys/path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/status.h"

namespace wherry::sys {
namespace {

constexpr int kMaxLinks = 40;
constexpr int kMaxRetries = 128;

// EAGAIN: something was renamed or mounted while the kernel walked, and it could not be sure.
absl::StatusOr<UniqueFd> OpenAt2(int dir, const std::string& path, int flags, uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = resolve;
  for (int retry = 0;; ++retry) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof(how))));
    if (fd.valid()) return fd;
    if ((errno != EAGAIN && errno != EINTR) || retry == kMaxRetries)
      return Errno(absl::StrCat("openat2 \"", path, "\""));
  }
}

std::vector<std::string> Split(absl::string_view path) { return absl::StrSplit(path, '/', absl::SkipEmpty()); }

// One level of a path whose parent is pinned.
absl::StatusOr<UniqueFd> MakeChild(int parent, const std::string& name, bool directory) {
  if (directory) {
    if (::mkdirat(parent, name.c_str(), 0755) != 0 && errno != EEXIST)
      return Errno(absl::StrCat("mkdir \"", name, "\""));
  } else {
    UniqueFd file(::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!file.valid() && errno != EEXIST) return Errno(absl::StrCat("create \"", name, "\""));
  }
  UniqueFd child(::openat(parent, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!child.valid()) return Errno(absl::StrCat("open \"", name, "\""));
  return child;
}

absl::StatusOr<std::string> ReadLink(int link) {
  char target[PATH_MAX];
  const ssize_t n = ::readlinkat(link, "", target, sizeof(target));
  if (n < 0) return Errno("readlink");
  if (n == sizeof(target)) return absl::InvalidArgumentError("symlink is too long");
  return std::string(target, static_cast<size_t>(n));
}

bool IsSymlink(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

}  // namespace

absl::StatusOr<UniqueFd> OpenInRoot(int root, const std::string& path, int flags) {
  return OpenAt2(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

absl::StatusOr<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags) {
  return OpenAt2(dir, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

absl::StatusOr<UniqueFd> EnsureInRoot(int root, const std::string& path, bool directory) {
  auto there = OpenInRoot(root, path, O_PATH);
  if (there.ok() || !IsErrno(there.status(), ENOENT)) return there;
  std::vector<std::string> parts = Split(path);
  std::string prefix = "/";
  size_t next = 0;
  ASSIGN_OR_RETURN(UniqueFd parent, OpenInRoot(root, prefix, O_PATH | O_DIRECTORY));
  for (int links = 0; next < parts.size();) {
    const std::string below = absl::StrCat(prefix, prefix == "/" ? "" : "/", parts[next]);
    auto child = OpenInRoot(root, below, O_PATH);
    if (!child.ok() && IsErrno(child.status(), ENOENT)) {
      child = MakeChild(parent.get(), parts[next], directory || next + 1 < parts.size());
      if (child.ok() && IsSymlink(child->get())) {  // it points to what does not exist yet: go there instead
        if (++links > kMaxLinks) return Errno(absl::StrCat("follow \"", path, "\""), ELOOP);
        ASSIGN_OR_RETURN(std::string target, ReadLink(child->get()));
        const std::vector<std::string> rest(parts.begin() + static_cast<ptrdiff_t>(next) + 1, parts.end());
        parts = Split(absl::StrCat(target[0] == '/' ? "" : prefix, "/", target, "/", absl::StrJoin(rest, "/")));
        prefix = "/";
        next = 0;
        ASSIGN_OR_RETURN(parent, OpenInRoot(root, prefix, O_PATH | O_DIRECTORY));
        continue;
      }
    }
    if (!child.ok()) return Annotate(child.status(), absl::StrCat("\"", path, "\" in the root file system"));
    parent = *std::move(child);
    prefix = below;
    ++next;
  }
  return parent;
}

}  // namespace wherry::sys
