#pragma once

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::rootfs {

// How the layers are handed to the kernel. kAuto takes the first that this kernel knows.
enum class OverlayWay {
  kAuto,
  kLayerByLayer,  // fsconfig lowerdir+, Linux 6.8: any number of layers
  kOneString,     // fsconfig lowerdir=a:b: at most 255 bytes
  kOptionPage,    // mount(2): at most a page
};

// A detached overlay mount of the request's layers; without an upper and a work directory a read-only one, for which the kernel
// wants two layers at least. The caller's mount namespace must be its own: kOptionPage attaches
// the overlay for a moment. InvalidArgument: no layers, or paths that cannot be expressed in `way`.
absl::StatusOr<sys::UniqueFd> MountOverlay(const shim::v1::Rootfs& rootfs, OverlayWay way = OverlayWay::kAuto);

// The same for a pod with a user namespace: the layers' ids are taken for ids of `user_namespace` (overlay of idmapped layers,
// Linux 5.19), so that nothing has to be copied or given away. The upper directory belongs to that namespace's root already.
// The caller's mounts must propagate to nobody: the layers are mounted over for a moment.
absl::StatusOr<sys::UniqueFd> MountIdmappedOverlay(const shim::v1::Rootfs& rootfs, const sys::UniqueFd& user_namespace,
                                                   OverlayWay way = OverlayWay::kAuto);

}  // namespace wherry::rootfs
