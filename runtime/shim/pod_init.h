#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"
#include "runtime/sys/user_namespace.h"

// PID 1 of a pod whose containers share a PID namespace.
namespace wherry::shim {

struct PodInit {
  pid_t pid = -1;
  sys::UniqueFd pidfd;
  sys::UniqueFd pid_namespace;
};

// Forks the init into a new PID namespace and into `cgroup`, and returns when it is ready. The caller has to be
// single-threaded, and reaps it. With a valid `users` the PID namespace belongs to that user namespace, and so does the init.
absl::StatusOr<PodInit> StartPodInit(const v1::Cgroup& cgroup, const sys::UserNamespace& users);

}  // namespace wherry::shim
