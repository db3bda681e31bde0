#include "cri/image/store_dirs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/escaping.h"
#include "cri/image/layer_name.h"
#include "cri/image/remove_tree.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

absl::StatusOr<sys::UniqueFd> MakeDir(int at, const std::string& name) {
  if (::mkdirat(at, name.c_str(), 0700) != 0 && errno != EEXIST)
    return sys::Errno(absl::StrCat("mkdir \"", name, "\""));
  return sys::OpenAt(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

// A record lock: unlike flock(2)'s it belongs to the process alone. A child that wherryd has just made and that has not come to its
// exec yet would keep an flock, and the next wherryd would take it for this one.
absl::Status LockForProcess(int fd, const std::string& path) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_SETLK, &lock) == 0) return absl::OkStatus();
  if (errno == EACCES || errno == EAGAIN)
    return absl::FailedPreconditionError(absl::StrCat("another wherryd uses \"", path, "\""));
  return sys::Errno(absl::StrCat("fcntl F_SETLK \"", path, "/lock\""));
}

absl::Status WaitForFlock(int fd) {
  int rc = 0;
  do {
    rc = ::flock(fd, LOCK_EX);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? absl::OkStatus() : sys::Errno("flock");
}

// Asks ext4 to take directories made in `dir` for tops of trees of their own, which it puts far from each other (chattr(1), "T").
// Otherwise all that is ever unpacked shares a few block groups with all that was just removed there, and ext4 gives out no inode
// that was deleted in the last minutes, but looks at each one again for every file it makes: an image pulled soon after another one
// was removed took four times as long. Other file systems do not know the flag and do not need it.
void SpreadDirectories(int dir) {
  int flags = 0;
  if (::ioctl(dir, FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_TOPDIR_FL) != 0) return;
  flags |= FS_TOPDIR_FL;
  (void)::ioctl(dir, FS_IOC_SETFLAGS, &flags);
}

absl::StatusOr<std::set<std::string>> NamesIn(int directory) {
  ASSIGN_OR_RETURN(sys::UniqueFd copy, sys::OpenAt(directory, ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(copy.get()), ::closedir);
  if (dir == nullptr) return sys::Errno("fdopendir of the layers");
  (void)copy.release();
  std::set<std::string> names;
  while (const dirent* e = ::readdir(dir.get()))
    if (e->d_name[0] != '.') names.insert(e->d_name);
  return names;
}

}  // namespace

std::string RandomName() {
  char raw[8] = {};
  (void)!::getrandom(raw, sizeof(raw), 0);  // up to 256 bytes always come whole, see getrandom(2)
  return absl::BytesToHexString(absl::string_view(raw, sizeof(raw)));
}

absl::StatusOr<StoreDirs> StoreDirs::Open(const std::string& root) {
  StoreDirs dirs;
  dirs.path_ = root + "/images";
  ASSIGN_OR_RETURN(sys::UniqueFd base, sys::OpenAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(dirs.top_, MakeDir(base.get(), "images"));
  const int top = dirs.top_.get();
  ASSIGN_OR_RETURN(dirs.lock_, sys::OpenAt(top, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  RETURN_IF_ERROR(LockForProcess(dirs.lock_.get(), dirs.path_));
  ASSIGN_OR_RETURN(dirs.pull_lock_, sys::OpenAt(top, "pull.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  RETURN_IF_ERROR_CTX(WaitForFlock(dirs.pull_lock_.get()), dirs.path_ + "/pull.lock");
  ASSIGN_OR_RETURN(dirs.layers_, MakeDir(top, kLayersDir));
  ASSIGN_OR_RETURN(dirs.indexes_, MakeDir(top, kIndexesDir));
  ASSIGN_OR_RETURN(dirs.staging_, MakeDir(top, "staging"));
  SpreadDirectories(dirs.staging());
  RETURN_IF_ERROR_CTX(RemoveContents(dirs.staging()), dirs.path_ + "/staging");
  return dirs;
}

std::string StoreDirs::LayerPath(const std::string& name) const {
  return absl::StrCat(path_, "/", kLayersDir, "/", name);
}

absl::StatusOr<std::set<std::string>> StoreDirs::LayerNames() const { return NamesIn(layers_.get()); }
absl::StatusOr<std::set<std::string>> StoreDirs::IndexNames() const { return NamesIn(indexes_.get()); }

// The index first: a layer that is there has one, and an index without a layer is dropped by the next start.
absl::Status StoreDirs::Publish(int from, const std::string& name, const std::string& to) const {
  const std::string index = name + kIndexSuffix;
  struct stat st {};
  if (::fstatat(layers_.get(), to.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
    return sys::Errno(absl::StrCat("rename of layer \"", to, "\""), EEXIST);
  if (::renameat(from, index.c_str(), indexes_.get(), to.c_str()) != 0)
    return sys::Errno(absl::StrCat("rename of the index of layer \"", name, "\""));
  WHERRY_FAIL_POINT("image.index_published");
  if (::renameat2(from, name.c_str(), layers_.get(), to.c_str(), RENAME_NOREPLACE) == 0) return absl::OkStatus();
  return sys::Errno(absl::StrCat("rename of layer \"", name, "\""));
}

absl::Status StoreDirs::SyncLayers() const {
  if (::fsync(indexes_.get()) != 0) return sys::Errno("fsync of the indexes' directory");
  return ::fsync(layers_.get()) == 0 ? absl::OkStatus() : sys::Errno("fsync of the layers' directory");
}

// One that stays is dropped by the next start.
void StoreDirs::RemoveIndex(const std::string& name) const { (void)::unlinkat(indexes_.get(), name.c_str(), 0); }

absl::StatusOr<std::string> StoreDirs::Retire(const std::string& name) const {
  WHERRY_CRASH_POINT("image.retire");
  std::string to = absl::StrCat("trash-", RandomName());
  if (::renameat(layers_.get(), name.c_str(), staging(), to.c_str()) != 0)
    return sys::Errno(absl::StrCat("rename of layer \"", name, "\""));
  return to;
}

}  // namespace wherry::image
