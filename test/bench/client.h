#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/sys/status.h"

// The part of CRI that a kubelet uses for a pod's life, over one connection as the kubelet has it. Works against any
// runtime: nothing here knows wherry. Calls may come from several threads. Every error names the RPC; its code is the
// runtime's.
namespace wherry::bench {

struct PodSpec {
  std::string name;           // unique; also the uid
  std::string log_dir;        // must exist
  std::string cgroup_parent;  // "" = the runtime's default
  bool host_network = false;
};

struct ContainerSpec {
  std::string image;  // a name that the runtime has already
  std::vector<std::string> command;
  std::string data_dir;  // of the host, mounted read-only at /data; "" = none
};

class Client {
 public:
  // Waits up to 30 s for the runtime to answer Version and to say that it and its network are ready.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& endpoint);
  virtual ~Client() = default;

  virtual std::string Runtime() const = 0;  // "containerd 1.6.20"

  virtual absl::StatusOr<std::string> RunPod(const PodSpec& pod) = 0;
  // The log goes to "0.log" in the pod's log_dir.
  virtual absl::StatusOr<std::string> CreateContainer(const std::string& pod_id, const PodSpec& pod,
                                                      const ContainerSpec& container) = 0;
  virtual absl::Status StartContainer(const std::string& id) = 0;
  virtual absl::Status StopContainer(const std::string& id) = 0;  // without grace: SIGKILL at once
  virtual absl::Status RemoveContainer(const std::string& id) = 0;
  virtual absl::Status StopPod(const std::string& id) = 0;
  virtual absl::Status RemovePod(const std::string& id) = 0;

  // The exit code of the command.
  virtual absl::StatusOr<int> ExecSync(const std::string& id, const std::vector<std::string>& command) = 0;
  // The URLs of streams that are not opened yet: an exec with output and, if wanted, input; a pod's port.
  virtual absl::StatusOr<std::string> ExecUrl(const std::string& id, const std::vector<std::string>& command,
                                              bool input) = 0;
  virtual absl::StatusOr<std::string> PortForwardUrl(const std::string& pod_id, int port) = 0;
  // The container's exit code once it has ended.
  virtual absl::StatusOr<std::optional<int>> ExitCode(const std::string& id) = 0;

  virtual absl::Status PullImage(const std::string& image) = 0;
  virtual absl::Status RemoveImage(const std::string& image) = 0;  // OK when absent

  // The numbers of entries.
  virtual absl::StatusOr<int> ListPods() = 0;
  virtual absl::StatusOr<int> ListContainers() = 0;
  virtual absl::StatusOr<int> ListContainerStats() = 0;
};

}  // namespace wherry::bench
