// A network namespace lives as long as a process or a mount refers to it. The mount is the one entry in the host's mount
// table that a pod needs: CNI plugins get its path, and DEL still finds interfaces and addresses when every process of
// the pod is gone. The file is created anew and mounted on by descriptor, so no planted symlink moves the mount.
#include "runtime/shim/net_pin.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::shim {
namespace {

absl::Status MountNamespaceOn(int target) {
  WHERRY_FAIL_POINT("shim.pin_file");
  sys::UniqueFd own(::open_tree(AT_FDCWD, "/proc/self/ns/net", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!own.valid()) return sys::Errno("open_tree \"/proc/self/ns/net\"");
  if (::move_mount(own.get(), "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return sys::Errno("move_mount network namespace");
  return absl::OkStatus();
}

}  // namespace

absl::Status BringLoopbackUp() {
  sys::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return sys::Errno("socket");
  ifreq request{};
  memcpy(request.ifr_name, "lo", 3);
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return sys::Errno("SIOCGIFFLAGS lo");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return sys::Errno("SIOCSIFFLAGS lo up");
  return absl::OkStatus();
}

absl::Status PinNetworkNamespace(const std::string& path) {
  sys::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
  if (!file.valid()) return sys::Errno(absl::StrCat("create \"", path, "\""));
  absl::Status status = MountNamespaceOn(file.get());
  WHERRY_CRASH_POINT("shim.pinned");
  if (status.ok()) return status;
  (void)::unlink(path.c_str());
  return sys::Annotate(status, absl::StrCat("pin on \"", path, "\""));
}

}  // namespace wherry::shim
