#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// Look-ups in trees that somebody else writes to (openat2(2), Linux 5.6). The kernel itself keeps the walk inside, so
// there is no moment between a check and a use in which a name can change its meaning (CVE-2021-30465).
namespace wherry::sys {

// `path` as a process whose root is `root` would see it: symlinks and ".." stay inside. Magic links (/proc/self/fd/…)
// are refused. O_CLOEXEC is added.
absl::StatusOr<UniqueFd> OpenInRoot(int root, const std::string& path, int flags);

// `path` strictly below `dir`: no symlink of any kind, no other mount, no way out.
absl::StatusOr<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags);

// The object at `path` below `root`, made when missing: a directory, or an empty file when `directory` is false. Missing
// parents are made one by one on pinned descriptors (CVE-2024-45310), also where a symlink inside the root points to
// nothing yet. Returns an O_PATH descriptor. New directories have mode 0755, new files 0644.
absl::StatusOr<UniqueFd> EnsureInRoot(int root, const std::string& path, bool directory);

}  // namespace wherry::sys
