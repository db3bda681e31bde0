#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cri/container/ends.h"
#include "cri/container/host_files.h"
#include "cri/container/inbox.h"
#include "cri/container/looks.h"
#include "cri/container/operations.h"
#include "cri/container/paths.h"
#include "cri/container/running.h"
#include "cri/container/service.h"
#include "cri/container/spec.h"
#include "cri/container/workers.h"
#include "cri/image/store.h"
#include "cri/store/store.h"
#include "runtime/apparmor/apparmor.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/seccomp/cache.h"
#include "runtime/shim/client.h"

// What the verbs share, and the verbs. A container's states, as records.proto has them:
//
//                 CreateContainer          StartContainer             the program runs
//     (nothing) ────────────────▶ CREATING ─▶ CREATED ──────▶ STARTING ──────▶ RUNNING
//                                    │           │               │ failed        │ its end, or its shim's
//                              failed│           │               ▼               ▼
//     (nothing) ◀────────────────────┘           │             EXITED ◀──────────┘
//         ▲                                      ▼               │
//         └───────────────────────────────── REMOVING ◀──────────┘   RemoveContainer
//
// Each arrow is one committed record; whoever makes it owns the container's lease. CREATING is invisible outside.
namespace wherry::container {

struct Core {
  explicit Core(const Dependencies& dependencies);

  // Nanoseconds since the epoch, never the same nor going back, because lists are sorted by it.
  int64_t Now();

  store::Store& store;
  image::ImageStore& images;
  cgroup::Cgroups& cgroups;
  shim::Hub& hub;
  Inbox& inbox;
  const config::Config config;
  const Paths paths;
  const HostFacts& host;

  Leases leases;  // keys: container and pod ids
  Joins<absl::StatusOr<std::string>> creates;
  Joins<absl::Status> starts;
  Running running;
  Ends ends;
  Looks looks;
  seccomp::Cache seccomp;
  apparmor::Loader apparmor;

 private:
  absl::Mutex clock_mutex_;
  int64_t last_now_ ABSL_GUARDED_BY(clock_mutex_) = 0;

 public:
  // Last, so that their tasks end before what they use; the tidiers get work from the workers. What can be held up by a
  // stuck shim or an unkillable process is the tidiers' alone, so that it never delays the news of other containers' ends.
  Workers tidiers;
  Workers workers;
};

// How long a shim may take for what it does at once, and for starting a program (volumes may be slow to mount).
inline constexpr absl::Duration kShimTimeout = absl::Seconds(30);
inline constexpr absl::Duration kStartTimeout = absl::Minutes(4);
// How long dying may take after SIGKILL before an operation gives up with an error.
inline constexpr absl::Duration kKillTimeout = absl::Seconds(60);

// The verbs; service.h says what they promise.
absl::StatusOr<std::string> Create(Core& core, const ::runtime::v1::CreateContainerRequest& request);
absl::Status Start(Core& core, const std::string& id);
absl::Status Stop(Core& core, const std::string& id, absl::Duration timeout);
absl::Status Remove(Core& core, const std::string& id);
absl::StatusOr<::runtime::v1::ExecSyncResponse> ExecSync(Core& core, const ::runtime::v1::ExecSyncRequest& request,
                                                         absl::FunctionRef<bool()> abandoned);
absl::StatusOr<std::unique_ptr<streaming::Process>> Exec(Core& core, const std::string& id,
                                                         const std::vector<std::string>& command,
                                                         streaming::Streams streams);
absl::StatusOr<std::unique_ptr<streaming::Process>> Attach(Core& core, const std::string& id,
                                                           streaming::Streams streams);
absl::Status ReopenLog(Core& core, const std::string& id);
absl::Status UpdateResources(Core& core, const ::runtime::v1::UpdateContainerResourcesRequest& request);

// Containers as others see them: CREATING ones do not exist. NotFound.
absl::StatusOr<store::Container> Find(const Core& core, const std::string& id);

// The cgroup with its limits and device rules, made and ready to be joined; `hold` is to be kept until the container is in it.
absl::StatusOr<shim::v1::Cgroup> PrepareCgroup(Core& core, const store::ContainerRecord& record, bool all_devices,
                                               std::unique_ptr<cgroup::Hold>& hold);
// Where processes of an existing cgroup go.
absl::StatusOr<shim::v1::Cgroup> CgroupOf(Core& core, const std::string& path);
// Kills what is left in a cgroup and removes it. OK when it does not exist.
absl::Status DestroyCgroup(Core& core, const std::string& path);

// The filter for the container's processes; empty when unconfined.
absl::StatusOr<std::string> SeccompFilter(Core& core, const ::runtime::v1::ContainerConfig& config,
                                          const shim::v1::Capabilities& capabilities);
// Whether the filter is made from a file of the node. Such a filter is kept in the record: the file may be changed or removed
// while the container lives, and an exec must be confined as the container is.
bool HasLocalhostSeccomp(const ::runtime::v1::ContainerConfig& config);
// Completes a process from the recorded specification with its filter.
absl::Status SetSeccomp(Core& core, const ::runtime::v1::ContainerConfig& config, shim::v1::Process& process);

// Before a profile is given to a process: loads the default one when it is missing; FailedPrecondition for another that the kernel has
// not. OK for none.
absl::Status EnsureAppArmor(Core& core, const std::string& name);

// Resolves the images that `record`'s mounts name, writes their ids into the mounts, and keeps them with the container's id as
// the holder. Errors begin with "ImageVolumeMountFailed".
absl::StatusOr<ImageLayers> HoldMountedImages(Core& core, store::ContainerRecord& record);
// Keeps the container's image and those that it mounts again, after a restart. What is gone makes a later Start fail, not us.
void HoldAgain(Core& core, const store::ContainerRecord& record);

// What the mounts of a container are of is there afterwards, with the SELinux label `label` (unless empty) where the request wants that,
// and `record` has the rules for the devices that it asks for. `wanted` is asked whether the pod is ready still.
absl::Status EnsureSources(Core& core, store::ContainerRecord& record, const std::string& label, Wanted wanted);

// Asks the kernel whether its policy has the labels of the specification, which are as it writes them afterwards; InvalidArgument.
absl::Status CheckLabels(shim::v1::StartContainerRequest& spec);
// Gives what wherry makes for the pod and the container, and mounts into it, the SELinux label; nothing to do for none.
absl::Status LabelOwnFiles(const Paths& paths, const std::string& pod, const std::string& container,
                           const std::string& label);

// All of a pod: SIGKILLs every container and waits until the records say EXITED, and lets no creation wait for the host's files any
// more, for the caller to have written first that the pod is not ready; removes every container.
absl::Status KillAll(Core& core, const std::string& pod_id);
absl::Status RemoveAll(Core& core, const std::string& pod_id);

// A container has ended: completes the record, wakes waiters, then tells the shim and removes the cgroup. An error when the record could
// not be written: nothing is done then, and it can be called again.
absl::Status OnExit(Core& core, const std::string& pod_id, const shim::v1::ContainerExited& event);
// The same when the shim cannot tell any more: what is left in the cgroup is killed. No-op unless it was running.
absl::Status MarkLost(Core& core, const std::string& id, const std::string& message);

// Recovery of one container whose pod's shim has been asked; `state` is null when the shim (if any) does not know it.
absl::Status Recover(Core& core, const store::ContainerRecord& record, const shim::v1::ContainerState* state,
                     const std::string& why_lost);
// The same when the host has booted since: no process, cgroup or shim can be left, so none is looked for.
absl::Status RecoverAfterReboot(Core& core, const store::ContainerRecord& record);

}  // namespace wherry::container
