#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"
#include "runtime/sys/user_namespace.h"

// Volumes whose content is an image: its layers under each other as an overlay that nobody can write to, or one directory of
// that.
namespace wherry::rootfs {

// How the directory becomes a mount of its own. kAuto takes the first that this kernel knows.
enum class SubPathWay {
  kAuto,
  kDetached,          // cloned from the detached overlay, Linux 6.15
  kPrivateNamespace,  // the overlay is attached in a mount namespace that lives for a moment
};

// A detached read-only mount of the volume (`mount.fs_type` is "image"). NotFound when `sub_path` does not exist,
// InvalidArgument when it is no directory. The caller must be single-threaded, in a mount namespace of its own; it is in the
// same one afterwards. `users` is the pod's user namespace, for an idmapped one; then the caller's mounts propagate to nobody.
// `label` is the SELinux label of all files, or empty.
absl::StatusOr<sys::UniqueFd> TakeImageVolume(const shim::v1::Mount& mount, const std::string& label,
                                              const sys::UniqueFd& procfs, const sys::UserNamespace& users,
                                              SubPathWay way = SubPathWay::kAuto);

// The error that TakeImageVolume would have for the sub-path; OK where only mounting can tell (many layers before Linux 6.8).
// Attaches nothing anywhere; from any thread.
absl::Status CheckImageVolume(const shim::v1::Mount& mount);

}  // namespace wherry::rootfs
