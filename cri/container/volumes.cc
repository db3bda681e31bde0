// VOLUME lines of an image. Such a directory must exist and be writable, with what the image has there, and lives as long as
// the container. The writable layer gives just that, so a volume needs a mount of its own only where the image lacks the
// directory or the root file system is read-only. The image's tree is looked at through openat2(RESOLVE_IN_ROOT): a VOLUME
// such as "/../etc" must not reach the host (CVE-2022-23648).
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "cri/container/directories.h"
#include "cri/container/spec.h"
#include "cri/container/user_namespace.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

// The directory `path` in one layer; invalid when the layer has none.
sys::UniqueFd OpenInLayer(const std::string& layer, const std::string& path) {
  auto root = sys::OpenAt(AT_FDCWD, layer, O_PATH | O_DIRECTORY);
  if (!root.ok()) return {};
  open_how how = {};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return sys::UniqueFd(static_cast<int>(::syscall(SYS_openat2, root->get(), path.c_str(), &how, sizeof how)));
}

bool IsEmpty(int fd) {
  DIR* dir = ::fdopendir(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (dir == nullptr) return false;
  int entries = 0;
  while (::readdir(dir) != nullptr && entries < 3) ++entries;
  ::closedir(dir);
  return entries <= 2;
}

struct Found {
  bool exists = false, empty = true;
  struct stat attributes = {};  // of the topmost layer that has it
};

Found Look(const std::vector<std::string>& layers, const std::string& path) {
  Found found;
  for (const auto& layer : layers) {
    sys::UniqueFd dir = OpenInLayer(layer, path);
    if (!dir.valid()) continue;
    if (!found.exists) ::fstat(dir.get(), &found.attributes);
    found.exists = true;
    found.empty = found.empty && IsEmpty(dir.get());
  }
  return found;
}

absl::Status MakeVolume(const std::string& path, const Found& found, const ::runtime::v1::PodSandboxConfig& pod) {
  mode_t mode = found.exists ? found.attributes.st_mode & 07777 : 0755;
  RETURN_IF_ERROR(MakeDirectories(path, mode));
  return found.exists ? GiveToPod(path, pod, found.attributes.st_uid, found.attributes.st_gid) : GiveToPod(path, pod);
}

bool IsMountedOver(const shim::v1::Rootfs& rootfs, const std::string& path) {
  for (const auto& mount : rootfs.mounts()) {
    if (mount.destination() == path) return true;
  }
  return false;
}

}  // namespace

absl::Status AddImageVolumes(const SpecInput& input, shim::v1::Rootfs& rootfs) {
  int number = 0;
  for (const auto& volume : input.image.volumes) {
    ASSIGN_OR_RETURN(std::string path, CleanPath(volume, "the image's volume"));
    if (IsMountedOver(rootfs, path) || path == "/") continue;
    Found found = Look(input.lowerdirs, path);
    if (found.exists && !rootfs.readonly()) continue;
    if (!found.empty) {
      return absl::UnimplementedError(
          absl::StrCat("readonly_rootfs: the image's volume \"", path, "\" has content; mount a volume there"));
    }
    std::string source = absl::StrCat(input.paths.volumes(input.id), "/", number++);
    RETURN_IF_ERROR(MakeVolume(source, found, input.pod.config()));
    auto& mount = *rootfs.add_mounts();
    mount.set_destination(path);
    mount.set_source(source);
    mount.set_fs_type("bind");
  }
  return absl::OkStatus();
}

}  // namespace wherry::container
