#include "cri/image/path_walk.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxDepth = 256;
constexpr int kOpenDir = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

absl::StatusOr<sys::UniqueFd> OpenStep(int dir, const std::string& name, bool create, int& created) {
  absl::StatusOr<sys::UniqueFd> fd = sys::OpenAt(dir, name, kOpenDir);
  if (fd.ok() || !create || !sys::IsErrno(fd.status(), ENOENT)) return fd;
  if (::mkdirat(dir, name.c_str(), 0755) != 0) return sys::Errno(absl::StrCat("mkdir \"", name, "\""));
  ++created;
  return sys::OpenAt(dir, name, kOpenDir);
}

}  // namespace

std::vector<absl::string_view> SplitPath(absl::string_view path) {
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/'))
    if (!part.empty() && part != ".") parts.push_back(part);
  return parts;
}

PathWalk::PathWalk(sys::UniqueFd root) : root_(std::move(root)) {}

size_t PathWalk::Common(const std::vector<absl::string_view>& parts) const {
  size_t n = 0;
  while (n < levels_.size() && n < parts.size() && levels_[n].name == parts[n]) ++n;
  return n;
}

absl::StatusOr<int> PathWalk::Enter(const std::vector<absl::string_view>& parts, int& created) {
  return Walk(parts, /*create=*/true, created);
}

absl::StatusOr<int> PathWalk::Find(const std::vector<absl::string_view>& parts) {
  int none = 0;
  return Walk(parts, /*create=*/false, none);
}

absl::StatusOr<int> PathWalk::Walk(const std::vector<absl::string_view>& parts, bool create, int& created) {
  if (parts.size() > kMaxDepth)
    return absl::InvalidArgumentError(absl::StrCat("the path is deeper than ", kMaxDepth, " directories"));
  levels_.resize(Common(parts));
  while (levels_.size() < parts.size()) {
    const int dir = levels_.empty() ? root() : levels_.back().fd.get();
    std::string name(parts[levels_.size()]);
    absl::StatusOr<sys::UniqueFd> fd = OpenStep(dir, name, create, created);
    if (sys::IsErrno(fd.status(), ENOTDIR) || sys::IsErrno(fd.status(), ELOOP)) {
      struct stat st {};
      const bool link = ::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
      return absl::InvalidArgumentError(
          absl::StrCat("its path leads through \"",
                       absl::CHexEscape(absl::StrJoin(
                           parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(levels_.size()) + 1, "/")),
                       "\", which is ", link ? "a symbolic link" : "no directory"));
    }
    if (!fd.ok()) return fd.status();
    levels_.push_back({std::move(name), std::move(*fd)});
  }
  return levels_.empty() ? root() : levels_.back().fd.get();
}

void PathWalk::Forget(const std::vector<absl::string_view>& parts) {
  if (Common(parts) == parts.size()) levels_.resize(parts.size() - 1);
}

}  // namespace wherry::image
