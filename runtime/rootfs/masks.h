#pragma once

#include "absl/status/status.h"
#include "api/shim/v1/shim.pb.h"

namespace wherry::rootfs {

// Hides and write-protects paths below `root`, on top of whatever is mounted there by now. Missing paths are passed over.
absl::Status MaskPaths(const shim::v1::Rootfs& rootfs, int root);
absl::Status ProtectPaths(const shim::v1::Rootfs& rootfs, int root);

}  // namespace wherry::rootfs
