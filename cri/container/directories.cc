// The writable layer of a container is written by strangers. Removing it must survive a directory nested 100,000 levels
// deep (a stack or a descriptor each would end wherryd), and names of any kind. So the tree is flattened while it is
// removed: a directory that is not empty is renamed to the top, where it is met again. One rename costs about as much as
// the descent that it saves, and at any time only two directories are open.
#include "cri/container/directories.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

bool IsDots(const char* name) { return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0)); }

class Flattener {
 public:
  Flattener(int top, const std::string& path) : top_(top), path_(path) {}

  // Empties the top directory. A pass over it may move new directories into it, hence the loop.
  absl::Status Empty() {
    bool moved = true;
    while (moved) {
      moved = false;
      ASSIGN_OR_RETURN(Dir dir, Open(top_, "."));
      while (dirent* entry = ::readdir(dir.get())) {
        if (IsDots(entry->d_name)) continue;
        WHERRY_CRASH_POINT("tree.unlink");
        ASSIGN_OR_RETURN(bool gone, Unlink(top_, entry->d_name));
        if (gone) continue;
        RETURN_IF_ERROR(EmptyChild(entry->d_name));
        moved = true;
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Dir> Open(int at, const char* name) {
    int fd = ::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return sys::Errno(absl::StrCat("openat \"", name, "\" in \"", path_, "\""));
    Dir dir(::fdopendir(fd));
    if (dir == nullptr) {
      ::close(fd);
      return sys::Errno("fdopendir");
    }
    return dir;
  }

  // False for a directory that is not empty.
  absl::StatusOr<bool> Unlink(int at, const char* name) {
    if (::unlinkat(at, name, 0) == 0 || errno == ENOENT) return true;
    if (errno != EISDIR && errno != EPERM)
      return sys::Errno(absl::StrCat("unlinkat \"", name, "\" in \"", path_, "\""));
    if (::unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
    if (errno == ENOTEMPTY || errno == EEXIST) return false;
    return sys::Errno(absl::StrCat("unlinkat \"", name, "\" in \"", path_, "\""));
  }

  // Removes a directory of the top one; those in it that are not empty move to the top.
  absl::Status EmptyChild(const char* name) {
    ASSIGN_OR_RETURN(Dir dir, Open(top_, name));
    int fd = ::dirfd(dir.get());
    while (dirent* entry = ::readdir(dir.get())) {
      if (IsDots(entry->d_name)) continue;
      ASSIGN_OR_RETURN(bool gone, Unlink(fd, entry->d_name));
      if (!gone) RETURN_IF_ERROR(MoveToTop(fd, entry->d_name));
    }
    if (::unlinkat(top_, name, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENOTEMPTY) return absl::OkStatus();
    return sys::Errno(absl::StrCat("unlinkat \"", name, "\" in \"", path_, "\""));
  }

  absl::Status MoveToTop(int from, const char* name) {
    while (true) {
      std::string to = absl::StrCat(".wherry-removed-", next_++);
      if (::renameat2(from, name, top_, to.c_str(), RENAME_NOREPLACE) == 0) return absl::OkStatus();
      if (errno != EEXIST) return sys::Errno(absl::StrCat("renameat2 \"", name, "\" in \"", path_, "\""));
    }
  }

  const int top_;
  const std::string& path_;
  uint64_t next_ = 0;
};

}  // namespace

absl::Status MakeDirectories(const std::string& path, mode_t mode) {
  WHERRY_FAIL_POINT("dir.make");
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST) {
      struct stat st;
      if (::stat(path.c_str(), &st) != 0) return sys::Errno(absl::StrCat("stat \"", path, "\""));
      return S_ISDIR(st.st_mode) ? absl::OkStatus() : sys::Errno(absl::StrCat("mkdir \"", path, "\""), ENOTDIR);
    }
    size_t slash = path.find_last_of('/');
    if (errno != ENOENT || slash == 0 || slash == std::string::npos) {
      return sys::Errno(absl::StrCat("mkdir \"", path, "\""));
    }
    RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash), 0700));
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return sys::Errno(absl::StrCat("mkdir \"", path, "\""));
  }
  WHERRY_CRASH_POINT("dir.made");
  // The process' umask must not decide.
  if (::chmod(path.c_str(), mode) != 0) return sys::Errno(absl::StrCat("chmod \"", path, "\""));
  return absl::OkStatus();
}

absl::Status RemoveTree(const std::string& path) {
  WHERRY_FAIL_POINT("tree.remove");
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return sys::Errno(absl::StrCat("unlink \"", path, "\""));
  auto top = sys::OpenAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!top.ok()) return sys::IsErrno(top.status(), ENOENT) ? absl::OkStatus() : top.status();
  RETURN_IF_ERROR(Flattener(top->get(), path).Empty());
  WHERRY_FAIL_POINT("tree.rmdir");
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return sys::Errno(absl::StrCat("rmdir \"", path, "\""));
  return absl::OkStatus();
}

}  // namespace wherry::container
