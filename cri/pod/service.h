#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cri/container/service.h"
#include "runtime/sys/unique_fd.h"

namespace runtime::v1 {
class ContainerEventResponse;
class PodSandbox;
class PodSandboxFilter;
class PodSandboxStatusResponse;
class RunPodSandboxRequest;
class UpdatePodSandboxResourcesRequest;
}  // namespace runtime::v1
namespace wherry::network {
class Network;
}

// The life cycle of pod sandboxes. Every verb is a file of this folder; this class only names them.
// Thread-safe. Ids may be abbreviated to an unambiguous prefix. Lists and Status answer from memory and never
// wait for another operation.
namespace wherry::pod {

struct Core;

// The events of one client of GetContainerEvents.
class Subscription {
 public:
  using Event = std::shared_ptr<const ::runtime::v1::ContainerEventResponse>;
  virtual ~Subscription() = default;
  // The next event; null when there was none within `timeout`. ResourceExhausted when the client fell behind too far,
  // Unavailable when the daemon stops: the stream is at its end.
  virtual absl::StatusOr<Event> Next(absl::Duration timeout) = 0;
};

class Service {
 public:
  // `containers` and everything in `dependencies` outlive it.
  Service(const container::Dependencies& dependencies, network::Network& network, container::Service& containers);
  ~Service();

  // Once, before the first request: compares the store with what exists, reconnects to the shims and opens the
  // inbox. An error means that wherryd must not serve; trouble with one pod is not one: such a pod is NOT_READY.
  absl::Status Recover();
  // Once, when requests are served: finishes or undoes in the background what a crash interrupted. That calls CNI plugins, and
  // what they need may be a pod itself, which nobody can start before we serve; records and leases keep it apart from requests.
  void FinishInterrupted();

  // Returns the id. After a failure nothing is left or, when it cannot be undone at once, a stopped pod. A retry of a
  // running Run with the same namespace, name, uid and attempt joins it; of a finished one is AlreadyExists, naming
  // the sandbox.
  absl::StatusOr<std::string> Run(const ::runtime::v1::RunPodSandboxRequest& request);
  // Kills the containers, takes the network down. Idempotent; works when everything is gone already. OK
  // when unknown.
  absl::Status Stop(const std::string& id);
  // Stops it first if need be and removes everything, with its containers. OK when unknown.
  absl::Status Remove(const std::string& id);
  // Remembers what the kubelet is about to set in the pod's cgroup. InvalidArgument, NotFound.
  absl::Status UpdateResources(const ::runtime::v1::UpdatePodSandboxResourcesRequest& request);
  // A connection to a port of the pod; streaming::Backend says what it promises.
  absl::StatusOr<sys::UniqueFd> Connect(const std::string& id, uint16_t port);
  absl::StatusOr<::runtime::v1::PodSandboxStatusResponse> Status(const std::string& id, bool verbose) const;
  std::vector<::runtime::v1::PodSandbox> List(const ::runtime::v1::PodSandboxFilter& filter) const;
  // All events of pods and containers from now on; nothing that is already over is replayed.
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe();
  // Ends all subscriptions: the daemon stops.
  void EndSubscriptions();

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace wherry::pod
