#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// Mounts by descriptor (fsopen(2) and its kin, Linux 5.2; mount_setattr, 5.12). A mount is made detached, given its
// attributes, and only then moved to where it is seen: nobody sees it half made, and no path is walked twice.
namespace wherry::sys {

// A file system being configured: fsopen(2). Errors carry what the kernel wrote into the context's log.
class FsContext {
 public:
  static absl::StatusOr<FsContext> Open(const std::string& type);

  // One option; at most 255 bytes of value (the kernel's limit; InvalidArgument beyond).
  absl::Status Set(const std::string& key, const std::string& value) const;
  absl::Status SetFlag(const std::string& key) const;
  // The SELinux label that all its files shall have, whatever is written on them; empty: nothing is said.
  absl::Status SetLabel(const std::string& label) const;
  // Makes the superblock and a detached mount of it; `attributes` are MOUNT_ATTR_*.
  absl::StatusOr<UniqueFd> Mount(uint64_t attributes) const;

 private:
  FsContext(std::string type, UniqueFd fd) : type_(std::move(type)), fd_(std::move(fd)) {}
  absl::Status Failure(const std::string& what) const;

  std::string type_;
  UniqueFd fd_;
};

// A detached copy of what is mounted at `path` (open_tree(2) with OPEN_TREE_CLONE), with all below when `recursive`.
// Symlinks are followed; an empty path means `dirfd` itself. A detached mount can itself be cloned from Linux 6.15 on.
absl::StatusOr<UniqueFd> CloneMount(int dirfd, const std::string& path, bool recursive);

// Puts a detached mount on the file or directory that `target` refers to.
absl::Status AttachMount(int mount, int target);

// Adds MOUNT_ATTR_* (and, unless 0, sets the propagation MS_PRIVATE, MS_SLAVE or MS_SHARED), below too when `recursive`.
absl::Status ChangeMount(int mount, uint64_t attributes, uint64_t propagation, bool recursive);

// Makes a detached mount show each id that it stores as that id of `user_namespace` (MOUNT_ATTR_IDMAP, Linux 5.12): what root
// owns on disk, that namespace's root owns here. Not what is mounted below. FailedPrecondition: the file system cannot.
absl::Status IdmapMount(int mount, int user_namespace);

}  // namespace wherry::sys
