#include "runtime/sys/null_device.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>

#include "runtime/sys/mount.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::sys {
namespace {

constexpr unsigned kNullMajor = 1, kNullMinor = 3;

}  // namespace

absl::StatusOr<UniqueFd> MountNullDevice() {
  ASSIGN_OR_RETURN(UniqueFd null, CloneMount(AT_FDCWD, "/dev/null", false));
  struct stat st {};
  if (::fstat(null.get(), &st) != 0) return Errno("fstat \"/dev/null\"");
  if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(kNullMajor, kNullMinor))
    return absl::FailedPreconditionError("the host's /dev/null is not the null device");
  RETURN_IF_ERROR(ChangeMount(null.get(), MOUNT_ATTR_RDONLY, 0, false));
  return null;
}

absl::StatusOr<UniqueFd> OpenNullDevice(int access) {
  ASSIGN_OR_RETURN(UniqueFd mount, MountNullDevice());
  ASSIGN_OR_RETURN(UniqueFd procfs, OpenProcfs());
  // A magic link on purpose: it is the way to open what a descriptor of our own refers to.
  const std::string name = absl::StrCat("self/fd/", mount.get());
  UniqueFd null(::openat(procfs.get(), name.c_str(), access | O_CLOEXEC));
  if (!null.valid()) return Errno("open of the null device");
  return null;
}

}  // namespace wherry::sys
