// A sub-path is looked up by openat2 with the image as its root, so that symbolic links in the image lead to where they would
// lead a container that runs it, and never out. The directory that was found is then cloned by its descriptor: the path is
// walked once. The kernel clones only from mounts of the caller's namespace, or, since Linux 6.15, from detached ones; before
// that, the overlay is attached in a namespace made for it, which ends with the way back.
#include "runtime/rootfs/image_volume.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "runtime/rootfs/overlay.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/path.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

shim::v1::Rootfs ImageOf(const shim::v1::Mount& mount, const std::string& label = "") {
  shim::v1::Rootfs image;
  *image.mutable_lowerdirs() = mount.layers();
  image.set_mount_label(label);
  return image;
}

absl::StatusOr<sys::UniqueFd> OpenSubPath(const sys::UniqueFd& overlay, const std::string& path) {
  auto directory = sys::OpenInRoot(overlay.get(), path, O_PATH | O_DIRECTORY);
  if (directory.ok()) return directory;
  if (sys::IsErrno(directory.status(), ENOENT))
    return absl::NotFoundError(absl::StrCat("the image has no \"", path, "\""));
  if (sys::IsErrno(directory.status(), ENOTDIR))
    return absl::InvalidArgumentError(absl::StrCat("\"", path, "\" is no directory of the image"));
  return directory.status();
}

absl::StatusOr<sys::UniqueFd> CloneDirectory(const sys::UniqueFd& overlay, const std::string& path) {
  ASSIGN_OR_RETURN(sys::UniqueFd directory, OpenSubPath(overlay, path));
  return sys::CloneMount(directory.get(), "", false);
}

// The calling process is in a namespace made for this.
absl::StatusOr<sys::UniqueFd> AttachAndClone(const sys::UniqueFd& overlay, const shim::v1::Mount& mount) {
  ASSIGN_OR_RETURN(sys::UniqueFd slash, sys::OpenAt(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(sys::ChangeMount(slash.get(), 0, MS_PRIVATE, true));
  ASSIGN_OR_RETURN(sys::UniqueFd place, sys::OpenAt(AT_FDCWD, *mount.layers().rbegin(), O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(sys::AttachMount(overlay.get(), place.get()));
  return CloneDirectory(overlay, mount.sub_path());
}

// The way back is opened first: afterwards "our own" would be the new one.
absl::StatusOr<sys::UniqueFd> InPrivateNamespace(const sys::UniqueFd& overlay, const shim::v1::Mount& mount,
                                                 const sys::UniqueFd& procfs) {
  sys::UniqueFd own(::openat(procfs.get(), "self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!own.valid()) return sys::Errno("open \"/proc/self/ns/mnt\"");
  RETURN_IF_ERROR(sys::Unshare(CLONE_NEWNS));
  auto directory = AttachAndClone(overlay, mount);
  RETURN_IF_ERROR(sys::SetNamespace(own.get(), CLONE_NEWNS));
  return directory;
}

}  // namespace

absl::StatusOr<sys::UniqueFd> TakeImageVolume(const shim::v1::Mount& mount, const std::string& label,
                                              const sys::UniqueFd& procfs, const sys::UserNamespace& users,
                                              SubPathWay way) {
  if (mount.idmapped() && !users.valid())
    return absl::InvalidArgumentError("an idmapped mount needs a user namespace of the pod's own");
  const shim::v1::Rootfs image = ImageOf(mount, label);
  ASSIGN_OR_RETURN(sys::UniqueFd overlay,
                   mount.idmapped() ? MountIdmappedOverlay(image, users.fd) : MountOverlay(image));
  if (mount.sub_path().empty()) return overlay;
  if (way != SubPathWay::kPrivateNamespace) {
    auto directory = CloneDirectory(overlay, mount.sub_path());
    // EINVAL is what a kernel says that does not clone from detached mounts.
    if (directory.ok() || way == SubPathWay::kDetached || !sys::IsErrno(directory.status(), EINVAL)) return directory;
  }
  return InPrivateNamespace(overlay, mount, procfs);
}

absl::Status CheckImageVolume(const shim::v1::Mount& mount) {
  if (mount.sub_path().empty()) return absl::OkStatus();
  auto overlay = MountOverlay(ImageOf(mount), OverlayWay::kOneString);
  if (!overlay.ok()) overlay = MountOverlay(ImageOf(mount), OverlayWay::kLayerByLayer);
  // The way that is left attaches the overlay somewhere: that is for a namespace of the container's own.
  return overlay.ok() ? OpenSubPath(*overlay, mount.sub_path()).status() : absl::OkStatus();
}

}  // namespace wherry::rootfs
