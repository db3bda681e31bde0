#include "runtime/rootfs/volumes.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "runtime/rootfs/image_volume.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/path.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {
namespace {

constexpr size_t kMaxMountinfo = 16 << 20;

uint64_t Attributes(const shim::v1::Mount& mount) {
  uint64_t attributes = 0;
  if (mount.nosuid()) attributes |= MOUNT_ATTR_NOSUID;
  if (mount.nodev()) attributes |= MOUNT_ATTR_NODEV;
  if (mount.noexec()) attributes |= MOUNT_ATTR_NOEXEC;
  return attributes;
}

absl::StatusOr<uint64_t> PropagationFlag(const shim::v1::Mount& mount) {
  switch (mount.propagation()) {
    case shim::v1::PRIVATE:
      return MS_PRIVATE;
    case shim::v1::HOST_TO_CONTAINER:
      return MS_SLAVE;
    case shim::v1::BIDIRECTIONAL:
      return MS_SHARED;
    default:
      return absl::InvalidArgumentError(absl::StrCat("unknown propagation ", mount.propagation()));
  }
}

// True when the line of mountinfo (proc_pid_mountinfo(5)) for mount `id` has a tag "shared:" among its optional fields.
bool IsSharedIn(absl::string_view mountinfo, uint64_t id) {
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    uint64_t number = 0;
    if (!absl::SimpleAtoi(fields[0], &number) || number != id) continue;
    for (size_t i = 6; i < fields.size() && fields[i] != "-"; ++i) {
      if (fields[i].substr(0, 7) == "shared:") return true;
    }
  }
  return false;
}

// Whether what is mounted at the volume's source is shared with the host; else the host would never see what the container
// mounts, and the promise of BIDIRECTIONAL would be broken without a word.
absl::Status CheckShared(const std::string& source, const sys::UniqueFd& procfs) {
  struct statx stx {};
  if (::statx(AT_FDCWD, source.c_str(), 0, STATX_MNT_ID, &stx) != 0) return sys::Errno("statx");
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenOwnProcFile(procfs, "mountinfo", O_RDONLY));
  ASSIGN_OR_RETURN_CTX(std::string mountinfo, sys::ReadAll(file.get(), kMaxMountinfo), "mountinfo");
  if (IsSharedIn(mountinfo, stx.stx_mnt_id)) return absl::OkStatus();
  return absl::FailedPreconditionError("bidirectional propagation needs a source on a shared mount, which this is not");
}

absl::StatusOr<sys::UniqueFd> TakeTmpfs(const shim::v1::Mount& mount, const std::string& label) {
  ASSIGN_OR_RETURN(sys::FsContext fs, sys::FsContext::Open("tmpfs"));
  RETURN_IF_ERROR(fs.Set("source", "tmpfs"));
  RETURN_IF_ERROR(fs.SetLabel(label));
  for (absl::string_view option : absl::StrSplit(mount.data(), ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(option, absl::MaxSplits('=', 1));
    RETURN_IF_ERROR(pair.second.empty() ? fs.SetFlag(pair.first) : fs.Set(pair.first, pair.second));
  }
  return fs.Mount(0);
}

// A mount namespace of another user namespace only receives what is mounted in its source's, it never sends.
absl::Status CheckBidirectional(const shim::v1::Mount& mount, const sys::UniqueFd& procfs,
                                const sys::UserNamespace& users) {
  if (users.valid())
    return absl::InvalidArgumentError("bidirectional propagation cannot be had from within a user namespace");
  return CheckShared(mount.source(), procfs);
}

absl::StatusOr<sys::UniqueFd> TakeBind(const shim::v1::Mount& mount, const sys::UniqueFd& procfs,
                                       const sys::UserNamespace& users) {
  if (mount.source().empty() || mount.source()[0] != '/')
    return absl::InvalidArgumentError(absl::StrCat("source \"", mount.source(), "\" is not absolute"));
  if (mount.idmapped() && !users.valid())
    return absl::InvalidArgumentError("an idmapped mount needs a user namespace of the pod's own");
  if (mount.propagation() == shim::v1::BIDIRECTIONAL) RETURN_IF_ERROR(CheckBidirectional(mount, procfs, users));
  ASSIGN_OR_RETURN(sys::UniqueFd volume, sys::CloneMount(AT_FDCWD, mount.source(), true));
  if (mount.idmapped()) RETURN_IF_ERROR(sys::IdmapMount(volume.get(), users.fd.get()));
  return volume;
}

// A bind mount's files are the host's, and have the labels that they have there.
absl::StatusOr<Volume> Take(const shim::v1::Mount& mount, const std::string& label, const sys::UniqueFd& procfs,
                            const sys::UserNamespace& users) {
  Volume volume;
  if (mount.fs_type() == "bind") {
    ASSIGN_OR_RETURN(volume.mount, TakeBind(mount, procfs, users));
  } else if (mount.fs_type() == "tmpfs") {
    ASSIGN_OR_RETURN(volume.mount, TakeTmpfs(mount, label));
  } else if (mount.fs_type() == "image") {
    ASSIGN_OR_RETURN(volume.mount, TakeImageVolume(mount, label, procfs, users));
  } else {
    return absl::InvalidArgumentError(absl::StrCat("file system type \"", mount.fs_type(), "\" is not supported"));
  }
  struct stat st {};
  if (::fstat(volume.mount.get(), &st) != 0) return sys::Errno("fstat");
  volume.directory = S_ISDIR(st.st_mode);
  ASSIGN_OR_RETURN(const uint64_t propagation, PropagationFlag(mount));
  RETURN_IF_ERROR(sys::ChangeMount(volume.mount.get(), Attributes(mount), propagation, true));
  if (mount.readonly() || mount.recursive_readonly())
    RETURN_IF_ERROR(sys::ChangeMount(volume.mount.get(), MOUNT_ATTR_RDONLY, 0, mount.recursive_readonly()));
  return volume;
}

absl::Status Attach(const shim::v1::Mount& mount, const Volume& volume, int root) {
  if (mount.destination().empty() || mount.destination()[0] != '/')
    return absl::InvalidArgumentError("the destination is not absolute");
  ASSIGN_OR_RETURN(sys::UniqueFd target, sys::EnsureInRoot(root, mount.destination(), volume.directory));
  struct stat at {
  }, base{};
  struct statfs fs {};
  if (::fstat(target.get(), &at) != 0 || ::fstat(root, &base) != 0 || ::fstatfs(target.get(), &fs) != 0)
    return sys::Errno("stat of the destination");
  if (at.st_ino == base.st_ino && at.st_dev == base.st_dev)
    return absl::InvalidArgumentError("the destination is the container's root");
  // A directory of /proc that is not the kernel's would have programs trust forged facts; single files are common
  // (/proc/meminfo and its like from a file system that knows the container's limits).
  if (fs.f_type == PROC_SUPER_MAGIC && volume.directory)
    return absl::InvalidArgumentError("the destination is a directory of /proc");
  if (S_ISDIR(at.st_mode) != volume.directory)
    return absl::InvalidArgumentError(absl::StrCat("the source is ", volume.directory ? "a" : "no",
                                                   " directory, but what the image has there is ",
                                                   volume.directory ? "none" : "one"));
  return sys::AttachMount(volume.mount.get(), target.get());
}

}  // namespace

absl::StatusOr<std::vector<Volume>> TakeVolumes(const shim::v1::Rootfs& rootfs, const sys::UniqueFd& procfs,
                                                const sys::UserNamespace& users) {
  std::vector<Volume> volumes;
  for (const shim::v1::Mount& mount : rootfs.mounts()) {
    auto volume = Take(mount, rootfs.mount_label(), procfs, users);
    if (!volume.ok())
      return sys::Annotate(volume.status(),
                           absl::StrCat("mount of \"", mount.source(), "\" on \"", mount.destination(), "\""));
    volumes.push_back(*std::move(volume));
  }
  return volumes;
}

absl::Status AttachVolumes(const shim::v1::Rootfs& rootfs, std::vector<Volume> volumes, int root) {
  for (size_t i = 0; i < volumes.size(); ++i) {
    const shim::v1::Mount& mount = rootfs.mounts(static_cast<int>(i));
    RETURN_IF_ERROR_CTX(Attach(mount, volumes[i], root),
                        absl::StrCat("mount of \"", mount.source(), "\" on \"", mount.destination(), "\""));
  }
  return absl::OkStatus();
}

}  // namespace wherry::rootfs
