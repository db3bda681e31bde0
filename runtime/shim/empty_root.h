#pragma once

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// Mount namespaces with a single tmpfs in them.
namespace wherry::shim {

// A new detached tmpfs. `options` are fsconfig strings as "size", "mode"; nosuid, nodev and noexec always hold. `label` is the SELinux
// label of all its files; empty: as the policy has it.
absl::StatusOr<sys::UniqueFd> DetachedTmpfs(const char* size, const char* mode, const char* label);

// Moves the caller into a mount namespace of its own whose only mount is the detached `tmpfs`, at "/". Only for a
// process that shares nothing (a forked child): its root and cwd change too.
absl::Status EnterEmptyRoot(int tmpfs);

}  // namespace wherry::shim
