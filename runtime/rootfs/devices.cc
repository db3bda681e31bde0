#include "runtime/rootfs/devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "runtime/sys/file.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

constexpr int kMaxDepth = 8;
constexpr std::array<absl::string_view, 5> kNotCopied = {"pts", "shm", "mqueue", "console", "ptmx"};

bool IsDevice(const struct stat& st) { return S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode); }

// A node that is there already is replaced, unless it is the same device. (A device is no mount point: masks come later.)
absl::Status MakeNode(int parent, const std::string& name, const struct stat& like) {
  if (::mknodat(parent, name.c_str(), like.st_mode, like.st_rdev) != 0) {
    if (errno != EEXIST) return sys::Errno(absl::StrCat("mknod \"", name, "\""));
    struct stat st {};
    if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && IsDevice(st) && st.st_rdev == like.st_rdev &&
        ((st.st_mode ^ like.st_mode) & S_IFMT) == 0)
      return absl::OkStatus();
    if (::unlinkat(parent, name.c_str(), 0) != 0) return sys::Errno(absl::StrCat("unlink \"", name, "\""));
    if (::mknodat(parent, name.c_str(), like.st_mode, like.st_rdev) != 0)
      return sys::Errno(absl::StrCat("mknod \"", name, "\""));
  }
  if (::fchownat(parent, name.c_str(), like.st_uid, like.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return sys::Errno(absl::StrCat("chown \"", name, "\""));
  return absl::OkStatus();
}

absl::StatusOr<struct stat> HostNode(const shim::v1::Device& device) {
  struct stat st {};
  if (::stat(device.host_path().c_str(), &st) != 0)
    return sys::Errno(absl::StrCat("stat \"", device.host_path(), "\""));
  if (!IsDevice(st)) return absl::InvalidArgumentError(absl::StrCat("\"", device.host_path(), "\" is not a device"));
  return st;
}

// The node as the request describes it; the host need not have one.
struct stat DescribedNode(const shim::v1::Device& device) {
  struct stat st {};
  st.st_mode = 0666 | (device.type() == "b" ? S_IFBLK : device.type() == "p" ? S_IFIFO : S_IFCHR);
  st.st_rdev = device.type() == "p" ? 0 : ::makedev(device.major_number(), device.minor_number());
  return st;
}

// An owner that a request names is one of the container's ids (config-linux.md of OCI).
absl::StatusOr<uint32_t> OwnerOutside(uint32_t id, const sys::UserNamespace& users, const sys::IdMap& ids) {
  if (!users.valid()) return id;
  const std::optional<uint32_t> outside = ids.Outside(id);
  if (!outside.has_value())
    return absl::InvalidArgumentError(absl::StrCat("its owner ", id, " has no id in the pod's user namespace"));
  return *outside;
}

absl::Status AddDevice(const shim::v1::Device& device, int root, const sys::UserNamespace& users) {
  struct stat st = DescribedNode(device);
  if (device.type().empty()) {
    ASSIGN_OR_RETURN(st, HostNode(device));
  }
  if (device.has_mode()) st.st_mode = (st.st_mode & S_IFMT) | (device.mode() & 07777);
  if (device.has_uid()) {
    ASSIGN_OR_RETURN(st.st_uid, OwnerOutside(device.uid(), users, users.uids));
  }
  if (device.has_gid()) {
    ASSIGN_OR_RETURN(st.st_gid, OwnerOutside(device.gid(), users, users.gids));
  }
  const size_t slash = device.path().rfind('/');
  if (slash == std::string::npos || slash + 1 == device.path().size() || device.path()[0] != '/')
    return absl::InvalidArgumentError("the path is not absolute");
  ASSIGN_OR_RETURN(sys::UniqueFd parent, sys::EnsureInRoot(root, device.path().substr(0, slash + 1), true));
  return MakeNode(parent.get(), device.path().substr(slash + 1), st);
}

struct CloseDir {
  void operator()(DIR* dir) const { (void)::closedir(dir); }
};

absl::Status CopyNodes(sys::UniqueFd from, int to, int depth) {
  std::unique_ptr<DIR, CloseDir> dir(::fdopendir(from.get()));
  if (dir == nullptr) return sys::Errno("fdopendir");
  const int source = from.release();
  while (const dirent* entry = ::readdir(dir.get())) {
    const absl::string_view name = entry->d_name;
    bool skip = name == "." || name == "..";
    for (absl::string_view other : kNotCopied) skip = skip || (depth == 0 && name == other);
    struct stat st {};
    if (skip || ::fstatat(source, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (IsDevice(st)) {
      RETURN_IF_ERROR(MakeNode(to, entry->d_name, st));
    } else if (S_ISDIR(st.st_mode) && depth < kMaxDepth) {
      if (::mkdirat(to, entry->d_name, st.st_mode & 0777) != 0 && errno != EEXIST)
        return sys::Errno(absl::StrCat("mkdir \"", name, "\""));
      ASSIGN_OR_RETURN(sys::UniqueFd below, sys::OpenAt(source, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      ASSIGN_OR_RETURN(sys::UniqueFd copy, sys::OpenBeneath(to, entry->d_name, O_PATH | O_DIRECTORY));
      RETURN_IF_ERROR(CopyNodes(std::move(below), copy.get(), depth + 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddDevices(const shim::v1::Rootfs& rootfs, int root, const sys::UserNamespace& users) {
  for (const shim::v1::Device& device : rootfs.devices())
    RETURN_IF_ERROR_CTX(AddDevice(device, root, users), absl::StrCat("device \"", device.path(), "\""));
  return absl::OkStatus();
}

absl::Status AddHostDevices(int dev) {
  ASSIGN_OR_RETURN(sys::UniqueFd host, sys::OpenAt(AT_FDCWD, "/dev", O_RDONLY | O_DIRECTORY));
  return sys::Annotate(CopyNodes(std::move(host), dev, 0), "copy of the host's /dev");
}

}  // namespace wherry::rootfs
