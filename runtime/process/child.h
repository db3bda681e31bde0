#pragma once

#include "absl/status/status.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/process/launch.h"
#include "runtime/process/process.h"
#include "runtime/rootfs/pty.h"

// What a child does inside the container, as its init or as a later process, up to execve.
namespace wherry::process {

// Joins the v1 hierarchies by writing "0" to their `tasks`: for a single-threaded caller that moves itself this costs
// 30 µs, a pid in cgroup.procs 11 ms (measured, Linux 6.18).
absl::Status JoinCgroups(const shim::v1::Cgroup& cgroup);

struct Inside {
  const shim::v1::Process& process;
  const sys::UniqueFd& procfs;  // the host's, verified
  const rootfs::Pty* pty;       // or null: `stdio` it is
  Stdio stdio;
};

// The caller is in the container's namespaces and its root. Returns only on failure.
absl::Status RunProgram(Inside inside, Channels& channels);

}  // namespace wherry::process
