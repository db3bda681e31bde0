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

// What runs in a child. It returns only when it failed, with the reason, and is handed the channels.
using Body = std::function<absl::Status(Channels&)>;

struct ClonePlan {
  uint64_t namespaces = 0;  // CLONE_NEW*
  std::string unified_dir;  // the cgroup (v2) that the child is born in; may be empty
  int pid_namespace = -1;   // a namespace or pidfd whose PID namespace the child is born in; -1: the caller's
  bool tty = false;
  std::string selinux_label;  // of the session keyring: that of the program; empty: the caller's
  // With a user namespace that the child is born in, which also owns `namespaces` (sys::CloneIntoUserNamespace):
  int user_namespace = -1;
  std::function<absl::Status()> before;  // what still needs the caller's rights
  Body
      helper;  // runs beside the child with the caller's rights, in the child's cgroup and PID namespace and a mount namespace
               // of its own (empty: nobody). It is to _exit(2) when it is done; it fails the launch when it returns
};

// Clones. The helper is reaped as an orphan is: it dies before the child or soon after.
absl::StatusOr<Launch> CloneChild(const ClonePlan& plan, const Body& body);

// SIGKILL for the caller when its parent dies, also when it is dead already. A change of credentials switches it off.
absl::Status DieWithParent(const sys::UniqueFd& parent);

}  // namespace wherry::process
