#pragma once

#include "absl/status/status.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/process/hooks.h"
#include "runtime/process/launch.h"
#include "runtime/process/process.h"
#include "runtime/rootfs/pty.h"
#include "runtime/security/user.h"

// What a child does inside the container, as its init or as a later process, up to execve.
namespace wherry::process {

// Joins the v1 hierarchies by writing "0" to their `tasks`: for a single-threaded caller that moves itself this costs
// 30 µs, a pid in cgroup.procs 11 ms (measured, Linux 6.18).
absl::Status JoinCgroups(const shim::v1::Cgroup& cgroup);

// What a process is given that only the host's root can give: its oom_score_adj and, when it will be in the user namespace
// `users`, hard limits up to what it is to have, and standard streams that belong to that namespace's root. The caller is the
// process itself, or one that it inherits from.
absl::Status PrepareOutside(const shim::v1::Process& process, const sys::UniqueFd& procfs, const Stdio& stdio,
                            const sys::UserNamespace& users);

struct Inside {
  const shim::v1::Process& process;
  const security::ResolvedUser& user;  // of `process`
  const sys::UniqueFd& procfs;         // the host's, verified
  const sys::UserNamespace& users;     // the caller's, where it is not the host's
  const rootfs::Pty* pty;              // or null: `stdio` it is
  Stdio stdio;
  const Hooks* hooks;  // or null
};

// The caller is in the container's namespaces and its root. Returns only on failure.
absl::Status RunProgram(Inside inside, Channels& channels);

}  // namespace wherry::process
