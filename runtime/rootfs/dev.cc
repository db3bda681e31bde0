// The whole /dev is made here, on a file system that no image has touched: nothing in it can be a trap (CVE-2026-41579,
// CVE-2026-47766: an image whose /dev is a symlink).
#include "runtime/rootfs/dev.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>

#include "runtime/sys/mount.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

struct Node {
  const char* name;
  unsigned major, minor;
};
constexpr Node kNodes[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

struct Link {
  const char* name;
  const char* target;
};
constexpr Link kLinks[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

constexpr uint32_t kTtyGroup = 5;

constexpr uint64_t kNoExec = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;

absl::Status AddNodes(int dev) {
  for (const Node& node : kNodes) {
    if (::mknodat(dev, node.name, S_IFCHR | 0666, makedev(node.major, node.minor)) != 0)
      return sys::Errno(absl::StrCat("mknod \"/dev/", node.name, "\""));
  }
  for (const Link& link : kLinks) {
    if (::symlinkat(link.target, dev, link.name) != 0)
      return sys::Errno(absl::StrCat("symlink \"/dev/", link.name, "\""));
  }
  return absl::OkStatus();
}

absl::Status MountBelow(int dev, const std::string& name, const sys::UniqueFd& mount) {
  if (::mkdirat(dev, name.c_str(), 0755) != 0) return sys::Errno(absl::StrCat("mkdir \"/dev/", name, "\""));
  ASSIGN_OR_RETURN(sys::UniqueFd target, sys::OpenBeneath(dev, name, O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR_CTX(sys::AttachMount(mount.get(), target.get()), absl::StrCat("\"/dev/", name, "\""));
  return absl::OkStatus();
}

// "gid" is a number of the caller's user namespace, which is the host's. Where the pod's has no group 5, a terminal belongs to
// the group of who opens it.
absl::StatusOr<sys::UniqueFd> NewDevpts(const std::string& label, const sys::UserNamespace& users) {
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("devpts"));
  RETURN_IF_ERROR(fs.Set("source", "devpts"));
  RETURN_IF_ERROR(fs.SetFlag("newinstance"));
  RETURN_IF_ERROR(fs.SetLabel(label));
  RETURN_IF_ERROR(fs.Set("ptmxmode", "0666"));
  RETURN_IF_ERROR(fs.Set("mode", "0620"));
  const std::optional<uint32_t> tty = users.valid() ? users.gids.Outside(kTtyGroup) : kTtyGroup;
  if (tty) RETURN_IF_ERROR(fs.Set("gid", absl::StrCat(*tty)));
  return fs.Mount(kNoExec);
}

// All mounts of an IPC namespace are one file system, which refuses a label at a second mount. So its root gets one as a file does.
absl::StatusOr<sys::UniqueFd> NewMqueue(const std::string& label) {
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("mqueue"));
  RETURN_IF_ERROR(fs.Set("source", "mqueue"));
  ASSIGN_OR_RETURN(sys::UniqueFd mount, fs.Mount(kNoExec | MOUNT_ATTR_NODEV));
  if (label.empty()) return mount;
  const sys::UniqueFd root(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return sys::Errno("open \"/dev/mqueue\"");
  if (::fsetxattr(root.get(), "security.selinux", label.c_str(), label.size() + 1, 0) != 0 && errno != ENOTSUP)
    return sys::Errno(absl::StrCat("SELinux label \"", label, "\" for \"/dev/mqueue\""));
  return mount;
}

}  // namespace

absl::StatusOr<Dev> MountDev(const shim::v1::StartContainerRequest& request, int target, const sys::UniqueFd& shm,
                             const sys::UserNamespace& users) {
  const std::string& label = request.rootfs().mount_label();
  Dev dev;
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("tmpfs"));
  RETURN_IF_ERROR(fs.Set("source", "tmpfs"));
  RETURN_IF_ERROR(fs.Set("mode", "755"));
  RETURN_IF_ERROR(fs.Set("size", "65536k"));
  RETURN_IF_ERROR(fs.SetLabel(label));
  ASSIGN_OR_RETURN(dev.tmpfs, fs.Mount(MOUNT_ATTR_NOSUID));
  RETURN_IF_ERROR(sys::AttachMount(dev.tmpfs.get(), target));
  RETURN_IF_ERROR(AddNodes(dev.tmpfs.get()));
  ASSIGN_OR_RETURN(dev.devpts, NewDevpts(label, users));
  RETURN_IF_ERROR(MountBelow(dev.tmpfs.get(), "pts", dev.devpts));
  RETURN_IF_ERROR(MountBelow(dev.tmpfs.get(), "shm", shm));
  ASSIGN_OR_RETURN(sys::UniqueFd mqueue, NewMqueue(request.host_ipc() ? "" : label));
  RETURN_IF_ERROR(MountBelow(dev.tmpfs.get(), "mqueue", mqueue));
  return dev;
}

absl::Status MountConsole(const Dev& dev, const Pty& pty) {
  sys::UniqueFd file(::openat(dev.tmpfs.get(), "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return sys::Errno("create \"/dev/console\"");
  ASSIGN_OR_RETURN(sys::UniqueFd target, sys::OpenBeneath(dev.tmpfs.get(), "console", O_PATH));
  ASSIGN_OR_RETURN(sys::UniqueFd mount, sys::CloneMount(pty.slave.get(), "", false));
  return sys::AttachMount(mount.get(), target.get());
}

}  // namespace wherry::rootfs
