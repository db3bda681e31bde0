#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cri/streaming/backend.h"

namespace runtime::v1 {
class Container;
class ContainerFilter;
class ContainerStatus;
class ContainerStatusResponse;
class CreateContainerRequest;
class ExecSyncRequest;
class ExecSyncResponse;
class UpdateContainerResourcesRequest;
}  // namespace runtime::v1
namespace wherry::config {
struct Config;
}
namespace wherry::store {
class Store;
}
namespace wherry::image {
class ImageStore;
}
namespace wherry::cgroup {
class Cgroups;
}
namespace wherry::shim {
class Hub;
}

// The life cycle of containers. Every verb is a file of this folder; this class only names them. Thread-safe.
// Ids may be abbreviated to an unambiguous prefix. Lists and Status answer from memory and never wait for
// another operation.
namespace wherry::container {

class Inbox;
struct Core;
struct HostFacts;

// What both services work with. All of it outlives them.
struct Dependencies {
  const config::Config& config;
  store::Store& store;
  image::ImageStore& images;
  cgroup::Cgroups& cgroups;
  shim::Hub& hub;
  Inbox& inbox;  // the one whose events() the hub was made with
  const HostFacts& host;
};

class Service {
 public:
  explicit Service(const Dependencies& dependencies);
  ~Service();

  // Records the container and makes its directories; nothing runs yet. Returns the id. FailedPrecondition
  // unless the pod is ready, NotFound for an unknown pod or image, AlreadyExists (naming the other) for a
  // used name and attempt, Unimplemented for a field that cannot be honoured, InvalidArgument for a wrong
  // one. A retry of a running Create with the same pod, name and attempt joins it.
  absl::StatusOr<std::string> Create(const ::runtime::v1::CreateContainerRequest& request);
  // Returns when the program runs (execve has succeeded) and its log file exists. After a failure the
  // container is EXITED with code 128, reason "StartError".
  absl::Status Start(const std::string& id);
  // The stop signal, then SIGKILL to all of the container at `timeout`. Returns when it is dead. OK when
  // it does not run, or is unknown.
  absl::Status Stop(const std::string& id, absl::Duration timeout);
  // Kills a running container first. OK when unknown.
  absl::Status Remove(const std::string& id);
  absl::StatusOr<::runtime::v1::ContainerStatusResponse> Status(const std::string& id, bool verbose) const;
  std::vector<::runtime::v1::Container> List(const ::runtime::v1::ContainerFilter& filter) const;
  // All containers of a pod, oldest first, as PodSandboxStatus has them.
  std::vector<::runtime::v1::ContainerStatus> StatusesOf(const std::string& pod_id) const;
  // DeadlineExceeded at the request's timeout (0 = none), with the process and its descendants killed.
  // Cancelled, and all of it killed, soon after `abandoned` says that nobody waits for the answer. FailedPrecondition unless
  // the container runs.
  absl::StatusOr<::runtime::v1::ExecSyncResponse> ExecSync(const ::runtime::v1::ExecSyncRequest& request,
                                                           absl::FunctionRef<bool()> abandoned);
  // Streaming sessions; streaming::Backend says what they promise. Each process is to be destroyed before this service.
  absl::StatusOr<std::unique_ptr<streaming::Process>> Exec(const std::string& id,
                                                           const std::vector<std::string>& command,
                                                           streaming::Streams streams);
  absl::StatusOr<std::unique_ptr<streaming::Process>> Attach(const std::string& id, streaming::Streams streams);
  absl::Status ReopenLog(const std::string& id);
  // Fields that are zero or empty stay as they are. All limits are set or none. FailedPrecondition unless the container is
  // created or running, and for a memory limit below what it uses.
  absl::Status UpdateResources(const ::runtime::v1::UpdateContainerResourcesRequest& request);

  // For the pod's service in this process.
  Core& core() { return *core_; }

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace wherry::container
