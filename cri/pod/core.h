#pragma once

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cri/container/core.h"
#include "cri/network/network.h"
#include "cri/pod/levels.h"
#include "cri/pod/life_events.h"
#include "cri/pod/service.h"

// What the verbs share, and the verbs. A sandbox's states, as records.proto has them:
//
//              RunPodSandbox            StopPodSandbox, or its shim's death
//   (nothing) ───────────────▶ CREATING ─▶ READY ─▶ STOPPING ─▶ NOT_READY
//                                 │ failed   │                      │
//   (nothing) ◀───────────────────┘          ▼                      ▼
//       ▲                                  REMOVING ◀───────────────┘   RemovePodSandbox
//       └───────────────────────────────────┘
//
// Each arrow is one committed record; whoever makes it owns the pod's lease. CREATING is invisible outside; a pod that failed
// and cannot be undone either (a CNI plugin refuses) goes from there to NOT_READY, for the kubelet to try again.
namespace wherry::pod {

struct Core final : container::Inbox::Receiver {
  Core(network::Network& cni, container::Core& container_core)
      : network(cni),
        containers(container_core),
        store(container_core.store),
        paths(container_core.paths),
        life_events(container_core) {
    store.Observe([this](const store::Changed& change) { life_events.Heard(change); });
  }
  ~Core() override {
    if (finisher.joinable()) finisher.join();
    containers.inbox.Close();
    store.Observe(nullptr);
  }

  // Events of the shims; events.cc.
  void ContainerExited(const std::string& pod_id, const shim::v1::ContainerExited& event) override;
  void ExecExited(const std::string& pod_id, const shim::v1::ExecExited& event) override;
  void ShimLost(const std::string& pod_id) override;

  network::Network& network;
  container::Core& containers;
  store::Store& store;
  const container::Paths& paths;
  container::Joins<absl::StatusOr<std::string>> runs;
  Levels levels;
  LifeEvents life_events;
  std::vector<store::Pod> recovered;  // pods of before: a new one that is being created is no interrupted one
  std::thread finisher;               // finishes what a crash interrupted, while requests are served
};

inline const ::runtime::v1::NamespaceOption& NamespacesOf(const ::runtime::v1::PodSandboxConfig& config) {
  return config.linux().security_context().namespace_options();
}
inline bool HasHostNetwork(const ::runtime::v1::PodSandboxConfig& config) {
  return NamespacesOf(config).network() == ::runtime::v1::NODE;
}

// InvalidArgument or Unimplemented, naming the field, for what cannot be honoured. `systemd`: cgroups are made by the systemd driver.
absl::Status Validate(const ::runtime::v1::RunPodSandboxRequest& request, bool systemd);

// Decides the pod's SELinux labels; nothing to do on hosts that have none, but refuse to give one. The level is to be kept until the record
// is written.
absl::StatusOr<Levels::Reserved> SetLabels(Core& core, store::PodRecord& pod);

// resolv.conf and hostname in the pod's state directory, and the log directory.
absl::Status WriteFiles(const container::Paths& paths, const store::PodRecord& pod);

absl::StatusOr<std::string> Run(Core& core, const ::runtime::v1::RunPodSandboxRequest& request);
absl::Status Stop(Core& core, const std::string& id);
absl::Status Remove(Core& core, const std::string& id);
absl::Status UpdateResources(Core& core, const ::runtime::v1::UpdatePodSandboxResourcesRequest& request);
absl::StatusOr<sys::UniqueFd> Connect(Core& core, const std::string& id, uint16_t port);
absl::Status Recover(Core& core);
void FinishInterrupted(Core& core);

// The pod as others see it: CREATING ones do not exist. NotFound.
absl::StatusOr<store::Pod> Find(const Core& core, const std::string& id);

// The pod's network and processes are gone afterwards. Idempotent; every step is tried, the first failure is returned.
// The caller owns the pod's lease.
absl::Status TakeDown(Core& core, const store::PodRecord& pod);
// Everything that is left of a pod that was taken down, its record last. The caller owns the pod's lease.
absl::Status Erase(Core& core, const store::PodRecord& pod);

// What the CNI plugins are told of the pod.
network::PodNetwork NetworkOf(const store::PodRecord& pod);

// Removes the pin of a network namespace. OK when it is gone.
absl::Status Unpin(const std::string& path);

// The shim of a pod whose pid was not written down any more, by its command line; pid -1 when there is none.
shim::Process FindShim(const std::string& pod_id);
// Ids of pods of ours that left a directory, a namespace or an entry in CNI's result cache, but no record.
std::set<std::string> UnknownPods(const Core& core);
// Removes what exists on the host under names of ours and no record explains. Right at any time: records come first and go
// last.
void RemoveLeftovers(Core& core);

}  // namespace wherry::pod
