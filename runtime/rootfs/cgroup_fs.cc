// With a cgroup namespace a fresh cgroup2 mount has the container's cgroup as its root. A v1 hierarchy is a bind of the
// container's directory: it costs a quarter of a fresh mount and, because cgroupfs shows paths relative to the reader's
// namespace, looks the same. The hierarchy's name ("memory", "cpu,cpuacct", "systemd") is that of the directory where the
// host has it mounted: the last one on the way up that is still on the same file system.
#include "runtime/rootfs/cgroup_fs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_split.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

constexpr uint64_t kSafe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

uint64_t Attributes(bool writable) { return kSafe | (writable ? 0 : MOUNT_ATTR_RDONLY); }

std::string Parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

// How many names `directory` lies below the mount point of its hierarchy.
absl::StatusOr<size_t> DepthInHierarchy(const std::string& directory) {
  struct stat st {
  }, up{};
  if (::stat(directory.c_str(), &st) != 0) return sys::Errno(absl::StrCat("stat \"", directory, "\""));
  size_t depth = 0;
  for (std::string path = Parent(directory); !path.empty(); path = Parent(path), ++depth) {
    if (::stat(path.c_str(), &up) != 0 || up.st_dev != st.st_dev) break;
  }
  return depth;
}

absl::StatusOr<std::string> HierarchyName(std::string directory, size_t depth) {
  for (; depth > 0 && !directory.empty(); --depth) directory = Parent(directory);
  std::string name = directory.substr(directory.rfind('/') + 1);
  if (name.empty())
    return absl::InvalidArgumentError(absl::StrCat("cgroup directory \"", directory, "\" has no hierarchy"));
  return name;
}

absl::Status MountAt(int parent, const std::string& name, const sys::UniqueFd& mount) {
  if (::mkdirat(parent, name.c_str(), 0755) != 0) return sys::Errno(absl::StrCat("mkdir \"", name, "\""));
  ASSIGN_OR_RETURN(sys::UniqueFd target, sys::OpenBeneath(parent, name, O_PATH | O_DIRECTORY));
  return sys::AttachMount(mount.get(), target.get());
}

absl::StatusOr<sys::UniqueFd> UnifiedTree(bool writable) {
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("cgroup2"));
  RETURN_IF_ERROR(fs.Set("source", "cgroup"));
  return fs.Mount(Attributes(writable));
}

absl::Status AddHierarchy(int tmpfs, const std::string& directory, size_t depth, bool writable) {
  ASSIGN_OR_RETURN(std::string name, HierarchyName(directory, depth));
  ASSIGN_OR_RETURN(sys::UniqueFd mount, sys::CloneMount(AT_FDCWD, directory, false));
  RETURN_IF_ERROR(sys::ChangeMount(mount.get(), Attributes(writable), MS_PRIVATE, false));
  RETURN_IF_ERROR(MountAt(tmpfs, name, mount));
  if (name.find(',') == std::string::npos) return absl::OkStatus();
  for (absl::string_view controller : absl::StrSplit(name, ',')) {
    if (::symlinkat(name.c_str(), tmpfs, std::string(controller).c_str()) != 0) return sys::Errno("symlink");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MountCgroups(const shim::v1::Cgroup& cgroup, const std::string& label, int target, bool writable) {
  if (cgroup.v1_dirs().empty()) {
    ASSIGN_OR_RETURN(sys::UniqueFd tree, UnifiedTree(writable));
    return sys::AttachMount(tree.get(), target);
  }
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("tmpfs"));
  RETURN_IF_ERROR(fs.Set("mode", "755"));
  RETURN_IF_ERROR(fs.SetLabel(label));
  ASSIGN_OR_RETURN(sys::UniqueFd tmpfs, fs.Mount(kSafe));
  RETURN_IF_ERROR(sys::AttachMount(tmpfs.get(), target));
  ASSIGN_OR_RETURN(const size_t depth, DepthInHierarchy(cgroup.v1_dirs(0)));
  for (const std::string& directory : cgroup.v1_dirs())
    RETURN_IF_ERROR_CTX(AddHierarchy(tmpfs.get(), directory, depth, writable), absl::StrCat("\"", directory, "\""));
  if (!cgroup.unified_dir().empty()) {
    ASSIGN_OR_RETURN(sys::UniqueFd tree, UnifiedTree(writable));
    RETURN_IF_ERROR(MountAt(tmpfs.get(), "unified", tree));
  }
  return writable ? absl::OkStatus() : sys::ChangeMount(tmpfs.get(), MOUNT_ATTR_RDONLY, 0, false);
}

}  // namespace wherry::rootfs
