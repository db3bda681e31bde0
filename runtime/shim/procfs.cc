#include "runtime/shim/procfs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/sys/status.h"

namespace wherry::shim {

absl::StatusOr<sys::UniqueFd> OpenProcfs() {
  sys::UniqueFd context(::fsopen("proc", FSOPEN_CLOEXEC));
  if (!context.valid()) return sys::Errno("fsopen proc");
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return sys::Errno("fsconfig proc");
  sys::UniqueFd mount(
      ::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!mount.valid()) return sys::Errno("fsmount proc");
  struct statfs fs {};
  if (::fstatfs(mount.get(), &fs) != 0) return sys::Errno("fstatfs proc");
  if (fs.f_type != PROC_SUPER_MAGIC) return absl::InternalError("a new procfs mount is not procfs");
  return mount;
}

absl::StatusOr<sys::UniqueFd> OpenInProcfs(int procfs, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  sys::UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, procfs, path.c_str(), &how, sizeof(how))));
  if (!fd.valid()) return sys::Errno(absl::StrCat("openat2 /proc/", path));
  return fd;
}

}  // namespace wherry::shim
