#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "runtime/process/process.h"
#include "runtime/sys/unique_fd.h"

// The half of a launch that init and exec have in common: channels to the parent, the clone, the way of failure.
namespace wherry::process {

// The child's ends of its channels, and how it knows that its parent lives.
struct Channels {
  sys::UniqueFd outcome;  // closed by execve or exit; nothing is ever written to it
  sys::UniqueFd report;
  sys::UniqueFd tty_socket;
  sys::UniqueFd parent;  // pidfd
};

struct ClonePlan {
  uint64_t namespaces = 0;  // CLONE_NEW*
  std::string unified_dir;  // the cgroup (v2) that the child is born in; may be empty
  int pid_namespace = -1;   // a namespace or pidfd whose PID namespace the child is born in; -1: the caller's
  bool tty = false;
};

// Clones. `body` runs in the child and returns only when it failed, with the reason; it is handed the channels.
absl::StatusOr<Launch> CloneChild(const ClonePlan& plan, const std::function<absl::Status(Channels&)>& body);

// SIGKILL for the caller when its parent dies, also when it is dead already. A change of credentials switches it off.
absl::Status DieWithParent(const sys::UniqueFd& parent);

}  // namespace wherry::process
