#include "cri/image/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

struct CloseDir {
  void operator()(DIR* d) const { ::closedir(d); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

// One directory on the way down; a stack of them in place of recursion, since the depth is the layer author's choice.
struct Level {
  Dir dir;
  std::string name;  // in its parent
};

absl::StatusOr<Dir> OpenDir(int at, const std::string& name) {
  ASSIGN_OR_RETURN(sys::UniqueFd fd, sys::OpenAt(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  Dir dir(::fdopendir(fd.get()));
  if (dir == nullptr) return sys::Errno("fdopendir");
  (void)fd.release();
  return dir;
}

bool IsDots(const char* name) { return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0)); }

// Unlinks `name`; true when it is a directory, which has to be emptied first.
absl::StatusOr<bool> UnlinkUnlessDirectory(int dir, const char* name, unsigned char type) {
  if (type == DT_DIR) return true;
  if (::unlinkat(dir, name, 0) == 0 || errno == ENOENT) return false;
  if (errno == EISDIR || errno == EPERM) {
    struct stat st {};
    if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) return true;
    errno = EPERM;
  }
  return sys::Errno(absl::StrCat("unlink \"", name, "\""));
}

absl::Status Empty(Dir top) {
  std::vector<Level> stack;
  stack.push_back({std::move(top), ""});
  while (!stack.empty()) {
    const int at = ::dirfd(stack.back().dir.get());
    errno = 0;
    const dirent* e = ::readdir(stack.back().dir.get());
    if (e == nullptr) {
      if (errno != 0) return sys::Errno("readdir");
      const std::string name = std::move(stack.back().name);
      stack.pop_back();
      if (stack.empty()) break;
      if (::unlinkat(::dirfd(stack.back().dir.get()), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        return sys::Errno(absl::StrCat("rmdir \"", name, "\""));
      continue;
    }
    if (IsDots(e->d_name)) continue;
    WHERRY_CRASH_POINT("image.unlink");
    ASSIGN_OR_RETURN(bool directory, UnlinkUnlessDirectory(at, e->d_name, e->d_type));
    if (!directory) continue;
    std::string name = e->d_name;
    ASSIGN_OR_RETURN(Dir below, OpenDir(at, name));
    stack.push_back({std::move(below), std::move(name)});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RemoveContents(int dir) {
  ASSIGN_OR_RETURN(Dir copy, OpenDir(dir, "."));
  return Empty(std::move(copy));
}

absl::Status RemoveTree(int dir, const std::string& name) {
  absl::StatusOr<bool> directory = UnlinkUnlessDirectory(dir, name.c_str(), DT_UNKNOWN);
  if (!directory.ok()) return sys::Annotate(directory.status(), absl::StrCat("remove \"", name, "\""));
  if (!*directory) return absl::OkStatus();
  ASSIGN_OR_RETURN(Dir top, OpenDir(dir, name));
  RETURN_IF_ERROR_CTX(Empty(std::move(top)), absl::StrCat("remove \"", name, "\""));
  WHERRY_FAIL_POINT("image.rmdir");
  if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return sys::Errno(absl::StrCat("rmdir \"", name, "\""));
  return absl::OkStatus();
}

}  // namespace wherry::image
