#pragma once

#include <string>

#include "absl/status/status.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

// The last steps before execve: a privileged child becomes what the container's process shall be. The order matters, as
// each step gives up what an earlier one needed: first BecomeUser, then Confine.
namespace wherry::security {

// setrlimit(2) for each. Needs CAP_SYS_RESOURCE to raise a hard limit.
absl::Status ApplyRlimits(const shim::v1::Process& process);

// Raises hard limits that are below what the process is to have, and nothing else: for a process that will be in a user
// namespace, where CAP_SYS_RESOURCE does not help any more. ApplyRlimits follows in there.
absl::Status RaiseHardLimits(const shim::v1::Process& process);

// Sets the caller's oom_score_adj through `procfs`. Where the host does not let it go so low (no CAP_SYS_RESOURCE), the
// inherited value stays: it is the lowest that this caller is sure to be allowed.
absl::Status ApplyOomScoreAdj(const sys::UniqueFd& procfs, int value);

// One write to a file of the caller's own, such as "attr/exec", in `procfs`.
absl::Status WriteProc(const sys::UniqueFd& procfs, const std::string& name, const std::string& text);

// The label that execve takes on: AppArmor's profile, SELinux' context. Empty ones are left alone.
absl::Status ApplyLabels(const sys::UniqueFd& procfs, const shim::v1::Process& process);

// Groups and ids. The caller keeps all its capabilities, as effective ones. It loses its parent death signal (prctl(2)).
// FailedPrecondition: the process is to have capabilities that the caller has not.
absl::Status BecomeUser(const shim::v1::Process& process, const shim::v1::User& user);

// Capabilities, no_new_privs and seccomp. Afterwards nothing is left but execve.
absl::Status Confine(const shim::v1::Process& process, const shim::v1::User& user);

}  // namespace wherry::security
