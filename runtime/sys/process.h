#pragma once

#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// Children and namespaces (clone3(2), Linux 5.3; pidfd_open, 5.3; setns with a pidfd, 5.8).
namespace wherry::sys {

struct CloneResult {
  pid_t pid = -1;  // 0 in the child
  UniqueFd pidfd;  // in the parent
};

// A fork: the child has a copy of the memory, returns from here as well, and sends SIGCHLD at its end. `namespaces` are
// CLONE_NEW*. A valid `cgroup` is a directory of the v2 tree in which the child is born (CLONE_INTO_CGROUP, Linux 5.7).
// The caller must be single-threaded: glibc's fork handlers do not run.
absl::StatusOr<CloneResult> CloneProcess(uint64_t namespaces, const UniqueFd& cgroup);

absl::StatusOr<UniqueFd> OpenPidfd(pid_t pid);  // ESRCH when no process has this number

// setns(2) with a namespace or pidfd; `types` are CLONE_NEW*. With CLONE_NEWPID it is the later children that move.
absl::Status SetNamespace(int fd, int types);

// Moves the caller into new namespaces.
absl::Status Unshare(int types);

// A verified descriptor of the procfs at /proc of the caller's mount namespace; its files are reached with OpenBeneath,
// so that nothing mounted over them can catch what is written (CVE-2019-16884, CVE-2025-52881).
absl::StatusOr<UniqueFd> OpenProcfs();

// A file of this process in such a procfs, e.g. "oom_score_adj" or "attr/exec".
absl::StatusOr<UniqueFd> OpenOwnProcFile(const UniqueFd& procfs, const std::string& name, int flags);

}  // namespace wherry::sys
