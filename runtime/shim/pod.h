#pragma once

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/process/process.h"
#include "runtime/shim/pod_init.h"

// What a pod has of its own, made once by SetupPod.
namespace wherry::shim {

struct Pod {
  process::PodContext context;
  PodInit init;  // pid -1 without a shared PID namespace
};

// Makes the namespaces as asked; the caller, single-threaded, moves into NET, IPC and UTS. `shm_in_namespace`: see
// MakeSharedMemory. After a failure the shim is of no use (it may have moved into some), but nothing is left on disk.
absl::StatusOr<Pod> SetupPod(const v1::SetupPodRequest& request, bool shm_in_namespace);

// Sets the caller's oom_score_adj, or the lowest value that the host allows when that is higher.
void SetOomScoreAdj(int value);

}  // namespace wherry::shim
