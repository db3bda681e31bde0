// unshare(CLONE_NEWNS) copies the host's whole mount table, and each copy would keep the host's volumes busy. So the new
// root is put over "/", pivot_root(".", ".") makes it the root with the old one stacked on top, and that one is
// detached: nothing of the host is left in the namespace.
#include "runtime/shim/empty_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sys/status.h"

namespace wherry::shim {

absl::StatusOr<sys::UniqueFd> DetachedTmpfs(const char* size, const char* mode, const char* label) {
  sys::UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context.valid()) return sys::Errno("fsopen tmpfs");
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", size, 0) != 0)
    return sys::Errno(absl::StrCat("fsconfig tmpfs size=", size));
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", mode, 0) != 0)
    return sys::Errno(absl::StrCat("fsconfig tmpfs mode=", mode));
  if (label[0] != 0 && ::fsconfig(context.get(), FSCONFIG_SET_STRING, "context", label, 0) != 0)
    return sys::Errno(absl::StrCat("fsconfig tmpfs context=", label));
  (void)::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", "shm", 0);
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return sys::Errno("fsconfig tmpfs");
  sys::UniqueFd mount(
      ::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!mount.valid()) return sys::Errno("fsmount tmpfs");
  return mount;
}

absl::Status EnterEmptyRoot(int tmpfs) {
  if (::unshare(CLONE_NEWNS) != 0) return sys::Errno("unshare mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return sys::Errno("make mounts private");
  if (::move_mount(tmpfs, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) return sys::Errno("move_mount tmpfs");
  if (::fchdir(tmpfs) != 0) return sys::Errno("fchdir tmpfs");
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return sys::Errno("pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return sys::Errno("umount the old root");
  if (::chdir("/") != 0) return sys::Errno("chdir \"/\"");
  return absl::OkStatus();
}

}  // namespace wherry::shim
