// Read Assemble from top to bottom. Everything from the host is taken first, as detached mounts, while the host's tree is
// what it is. Then the mounts of this namespace stop telling the host's about theirs, the overlay is put over "/" (this
// process keeps the host's tree as its root until Enter), or where hooks find it, and from there on each target is found by openat2 below the
// overlay and mounted on by descriptor: no path is used as a string again.
#include "runtime/rootfs/rootfs.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "runtime/rootfs/cgroup_fs.h"
#include "runtime/rootfs/dev.h"
#include "runtime/rootfs/devices.h"
#include "runtime/rootfs/masks.h"
#include "runtime/rootfs/overlay.h"
#include "runtime/rootfs/volumes.h"
#include "runtime/security/capability.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/path.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

constexpr uint64_t kSafe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// Goes into the pod's mount namespace and back. The way back is opened first: afterwards "our own" would be the pod's.
absl::StatusOr<sys::UniqueFd> TakeFromNamespace(const Surroundings& around) {
  sys::UniqueFd own(::openat(around.procfs.get(), "self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!own.valid()) return sys::Errno("open \"/proc/self/ns/mnt\"");
  RETURN_IF_ERROR_CTX(sys::SetNamespace(around.shm_namespace.get(), CLONE_NEWNS), "namespace of /dev/shm");
  auto shm = sys::CloneMount(AT_FDCWD, "/", false);
  RETURN_IF_ERROR_CTX(sys::SetNamespace(own.get(), CLONE_NEWNS), "back from the namespace of /dev/shm");
  return shm;
}

absl::StatusOr<sys::UniqueFd> TakeShm(bool host_ipc, const Surroundings& around) {
  if (host_ipc) return sys::CloneMount(AT_FDCWD, "/dev/shm", false);
  if (around.shm.valid()) return sys::CloneMount(around.shm.get(), "", false);
  if (around.shm_namespace.valid()) return TakeFromNamespace(around);
  return absl::FailedPreconditionError("the pod has no /dev/shm, and its IPC namespace is not the host's");
}

// Before the first mount: one of the ways to an overlay attaches it for a moment (overlay.cc).
absl::Status StopPropagation() {
  ASSIGN_OR_RETURN(sys::UniqueFd slash, sys::OpenAt(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  return sys::Annotate(sys::ChangeMount(slash.get(), 0, MS_SLAVE, true), "slave propagation of \"/\"");
}

absl::StatusOr<sys::UniqueFd> MountLayers(const shim::v1::Rootfs& rootfs, const sys::UserNamespace& users) {
  return users.valid() ? MountIdmappedOverlay(rootfs, users.fd) : MountOverlay(rootfs);
}

// Where no path leads to it: over "/", which stays the host's for who has it as its root already. Only hooks get to see the tree from
// outside, by a path. The directory is wherry's alone.
absl::Status Attach(const sys::UniqueFd& overlay, const shim::v1::StartContainerRequest& request) {
  const std::string place = request.has_hooks() ? request.hooks().bundle() + "/rootfs" : "/";
  ASSIGN_OR_RETURN(sys::UniqueFd target, sys::OpenAt(AT_FDCWD, place, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  return sys::Annotate(sys::AttachMount(overlay.get(), target.get()), "overlay");
}

// From here on what this process makes belongs to the root of the pod's user namespace. A change of the file system uid takes
// the capabilities that concern files out of the effective set (capabilities(7)); they are put back.
absl::Status MakeFilesAs(const sys::UserNamespace& users) {
  (void)::setfsgid(users.root_gid());
  (void)::setfsuid(users.root_uid());
  constexpr auto kNone = static_cast<uid_t>(-1);  // changes nothing, and returns what is set
  if (static_cast<uint32_t>(::setfsgid(kNone)) != users.root_gid() ||
      static_cast<uint32_t>(::setfsuid(kNone)) != users.root_uid())
    return absl::PermissionDeniedError(absl::StrCat("setfsuid ", users.root_uid(), ", setfsgid ", users.root_gid()));
  ASSIGN_OR_RETURN(const uint64_t permitted, security::PermittedCapabilities());
  return security::SetCapabilities({permitted, permitted, 0});
}

// /proc, /sys and /dev must be directories of the image, or missing: a symlink would lead the mount, and with it every
// later check of what is mounted there, to somewhere else (CVE-2023-27561).
absl::StatusOr<sys::UniqueFd> OwnDirectory(const sys::UniqueFd& root, const std::string& name) {
  auto directory = sys::OpenBeneath(root.get(), name, O_PATH | O_DIRECTORY);
  if (directory.ok()) return directory;
  if (sys::IsErrno(directory.status(), ENOENT) && ::mkdirat(root.get(), name.c_str(), 0755) == 0)
    return sys::OpenBeneath(root.get(), name, O_PATH | O_DIRECTORY);
  if (sys::IsErrno(directory.status(), ELOOP) || sys::IsErrno(directory.status(), ENOTDIR))
    return absl::InvalidArgumentError(
        absl::StrCat("the image has something other than a directory at \"/", name, "\""));
  return directory.status();
}

absl::Status MountProc(const sys::UniqueFd& root) {
  ASSIGN_OR_RETURN(sys::UniqueFd target, OwnDirectory(root, "proc"));
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("proc"));
  RETURN_IF_ERROR(fs.Set("source", "proc"));
  ASSIGN_OR_RETURN(sys::UniqueFd proc, fs.Mount(kSafe));
  return sys::AttachMount(proc.get(), target.get());
}

// A fresh sysfs shows the network interfaces of the caller's network namespace, the host's too.
absl::Status MountSys(const shim::v1::StartContainerRequest& request, const sys::UniqueFd& root) {
  ASSIGN_OR_RETURN(sys::UniqueFd target, OwnDirectory(root, "sys"));
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("sysfs"));
  RETURN_IF_ERROR(fs.Set("source", "sysfs"));
  ASSIGN_OR_RETURN(sys::UniqueFd sysfs, fs.Mount(kSafe | (request.privileged() ? 0 : MOUNT_ATTR_RDONLY)));
  RETURN_IF_ERROR(sys::AttachMount(sysfs.get(), target.get()));
  ASSIGN_OR_RETURN(sys::UniqueFd cgroup, sys::OpenBeneath(sysfs.get(), "fs/cgroup", O_PATH | O_DIRECTORY));
  return MountCgroups(request.cgroup(), request.rootfs().mount_label(), cgroup.get(), request.privileged());
}

absl::Status MountDevices(const shim::v1::StartContainerRequest& request, const sys::UniqueFd& shm,
                          const sys::UserNamespace& users, Root& root) {
  ASSIGN_OR_RETURN(sys::UniqueFd target, OwnDirectory(root.directory, "dev"));
  ASSIGN_OR_RETURN(Dev dev, MountDev(request, target.get(), shm, users));
  if (request.rootfs().all_devices()) RETURN_IF_ERROR(AddHostDevices(dev.tmpfs.get()));
  RETURN_IF_ERROR(AddDevices(request.rootfs(), root.directory.get(), users));
  if (!request.process().tty()) return absl::OkStatus();
  const shim::v1::Process& process = request.process();
  ASSIGN_OR_RETURN(root.pty, OpenPty(dev.devpts.get(), process.tty_width(), process.tty_height()));
  return MountConsole(dev, *root.pty);
}

absl::Status MakeWorkingDirectory(const std::string& path, const sys::UniqueFd& root) {
  if (path.empty() || path == "/") return absl::OkStatus();
  return sys::Annotate(sys::EnsureInRoot(root.get(), path, true).status(), "working directory");
}

}  // namespace

absl::StatusOr<Root> Assemble(const shim::v1::StartContainerRequest& request, const Surroundings& around) {
  const shim::v1::Rootfs& rootfs = request.rootfs();
  Root root;
  // Volumes of image layers are put together as the root file system is; and no volume of such a pod is bidirectional.
  if (around.users.valid()) RETURN_IF_ERROR(StopPropagation());
  ASSIGN_OR_RETURN(std::vector<Volume> volumes, TakeVolumes(rootfs, around.procfs, around.users));
  ASSIGN_OR_RETURN_CTX(sys::UniqueFd shm, TakeShm(request.host_ipc(), around), "/dev/shm");
  if (!around.users.valid()) RETURN_IF_ERROR(StopPropagation());
  ASSIGN_OR_RETURN_CTX(root.directory, MountLayers(rootfs, around.users), "root file system");
  RETURN_IF_ERROR_CTX(Attach(root.directory, request), "root file system");
  if (around.users.valid()) RETURN_IF_ERROR(MakeFilesAs(around.users));
  RETURN_IF_ERROR_CTX(MountProc(root.directory), "mount of /proc");
  RETURN_IF_ERROR_CTX(MountSys(request, root.directory), "mount of /sys");
  RETURN_IF_ERROR_CTX(MountDevices(request, shm, around.users, root), "mount of /dev");
  RETURN_IF_ERROR(AttachVolumes(rootfs, std::move(volumes), root.directory.get()));
  RETURN_IF_ERROR(MakeWorkingDirectory(request.process().cwd(), root.directory));
  return root;
}

absl::Status Protect(const shim::v1::Rootfs& rootfs, const Root& root) {
  RETURN_IF_ERROR(MaskPaths(rootfs, root.directory.get()));
  RETURN_IF_ERROR(ProtectPaths(rootfs, root.directory.get()));
  if (!rootfs.readonly()) return absl::OkStatus();
  return sys::Annotate(sys::ChangeMount(root.directory.get(), MOUNT_ATTR_RDONLY, 0, false), "read-only root");
}

// pivot_root(".", ".") stacks the old root on the new one, and "." still means the new one's place: umount takes the top.
absl::Status Enter(const Root& root) {
  if (::fchdir(root.directory.get()) != 0) return sys::Errno("fchdir to the new root");
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return sys::Errno("pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return sys::Errno("umount of the old root");
  if (::chdir("/") != 0) return sys::Errno("chdir \"/\"");
  return absl::OkStatus();
}

}  // namespace wherry::rootfs
