// Masked files get the host's /dev/null, checked to be it and read-only: the container's could be anything that its image put
// there (CVE-2025-31133). All masked directories share one empty read-only tmpfs: one for each made the end of a container slow
// on hosts with many CPUs.
#include "runtime/rootfs/masks.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <string>

#include "runtime/sys/mount.h"
#include "runtime/sys/null_device.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

absl::StatusOr<sys::UniqueFd> TakeEmpty(const std::string& label) {
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("tmpfs"));
  RETURN_IF_ERROR(fs.Set("mode", "555"));
  RETURN_IF_ERROR(fs.Set("size", "4k"));
  RETURN_IF_ERROR(fs.SetLabel(label));
  return fs.Mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

// One mount that is put on many targets. Before Linux 6.15 only an attached mount can be cloned, so the first target gets
// the mount itself and the later ones get clones of it.
class Stamp {
 public:
  using Maker = std::function<absl::StatusOr<sys::UniqueFd>()>;
  explicit Stamp(Maker make) : make_(std::move(make)) {}

  absl::Status PutOn(int target) {
    if (!first_.valid()) {
      ASSIGN_OR_RETURN(first_, make_());
      return sys::AttachMount(first_.get(), target);
    }
    ASSIGN_OR_RETURN(sys::UniqueFd copy, sys::CloneMount(first_.get(), "", false));
    return sys::AttachMount(copy.get(), target);
  }

 private:
  Maker make_;
  sys::UniqueFd first_;
};

// Nothing when there is no such path.
absl::StatusOr<std::optional<sys::UniqueFd>> Find(int root, const std::string& path) {
  auto target = sys::OpenInRoot(root, path, O_PATH);
  if (target.ok()) return std::optional(*std::move(target));
  if (sys::IsErrno(target.status(), ENOENT) || sys::IsErrno(target.status(), ENOTDIR)) return std::nullopt;
  return target.status();
}

absl::Status Protect(int target) {
  ASSIGN_OR_RETURN(sys::UniqueFd copy, sys::CloneMount(target, "", true));
  RETURN_IF_ERROR(sys::ChangeMount(copy.get(), MOUNT_ATTR_RDONLY, 0, true));
  return sys::AttachMount(copy.get(), target);
}

}  // namespace

absl::Status MaskPaths(const shim::v1::Rootfs& rootfs, int root) {
  Stamp null(sys::MountNullDevice), empty([&] { return TakeEmpty(rootfs.mount_label()); });
  for (const std::string& path : rootfs.masked_paths()) {
    const std::string context = absl::StrCat("mask of \"", path, "\"");
    ASSIGN_OR_RETURN_CTX(std::optional<sys::UniqueFd> target, Find(root, path), context);
    if (!target) continue;
    struct stat st {};
    if (::fstat(target->get(), &st) != 0) return sys::Errno(context);
    RETURN_IF_ERROR_CTX((S_ISDIR(st.st_mode) ? empty : null).PutOn(target->get()), context);
  }
  return absl::OkStatus();
}

absl::Status ProtectPaths(const shim::v1::Rootfs& rootfs, int root) {
  for (const std::string& path : rootfs.readonly_paths()) {
    const std::string context = absl::StrCat("read-only \"", path, "\"");
    ASSIGN_OR_RETURN_CTX(std::optional<sys::UniqueFd> target, Find(root, path), context);
    if (target) RETURN_IF_ERROR_CTX(Protect(target->get()), context);
  }
  return absl::OkStatus();
}

}  // namespace wherry::rootfs
