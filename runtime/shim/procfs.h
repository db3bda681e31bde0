#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// A procfs of our own: a fresh, detached mount that no path leads to. What the host or a container mounted over /proc
// cannot redirect what is read or written through it (CVE-2025-52881).
namespace wherry::shim {

// Mounts procfs for the caller's PID namespace (fsopen, Linux 5.2) and checks that it is one.
absl::StatusOr<sys::UniqueFd> OpenProcfs();

// openat2 beneath such a procfs: no symlink, no other mount, no way out. Magic links are symlinks.
absl::StatusOr<sys::UniqueFd> OpenInProcfs(int procfs, const std::string& path, int flags);

}  // namespace wherry::shim
