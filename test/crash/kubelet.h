#pragma once

#include <functional>
#include <string>
#include <vector>

#include "test/e2e/node.h"

namespace wherry::crash {

namespace cri = ::runtime::v1;

// What a kubelet does with one pod whatever became of its last request: it lists, and makes the next attempt. And what it asks for to
// test each operation. Plain verbs fail the test, the others return what was answered.
class Kubelet {
 public:
  using Edit = std::function<void(cri::PodSandboxConfig&)>;

  Kubelet(e2e::Node& node, std::string registry) : node_(node), registry_(std::move(registry)) {}

  e2e::Node& node() { return node_; }
  const std::string& registry() const { return registry_; }
  void SetPod(Edit edit) { edit_ = std::move(edit); }  // what the pod is to be
  void SetLimits(bool limits) { limits_ = limits; }    // whether its containers have any

  // One request each. They remember the pod's and the container's id, which the next ones are about.
  grpc::Status RunPod();
  grpc::Status Create();
  grpc::Status Start();
  grpc::Status Exec(const std::vector<std::string>& command);
  grpc::Status StopContainer();
  grpc::Status RemoveContainer();
  grpc::Status UpdateContainer();
  grpc::Status UpdatePod();
  grpc::Status ReopenLog();
  // Sessions of streams to their end: a command with output; an attachment until something comes; a connection into the pod.
  grpc::Status StreamExec(const std::vector<std::string>& command);
  // The client leaves while the command runs.
  grpc::Status LeaveExec();
  grpc::Status Attach();
  grpc::Status Forward();
  grpc::Status StopPod();
  grpc::Status RemovePod();
  grpc::Status RemoveImage(const std::string& name);
  grpc::Status Pull(const std::string& name);
  grpc::Status Import(const std::string& archive);

  const std::string& container() const { return container_; }
  cri::ContainerState State();

  // The pod with a running container, made from whatever is there; the container answers to an exec.
  void Sync();
  // Stops and removes all pods that are listed. Each request has to be granted at once.
  void RemoveAll();

 private:
  std::vector<cri::PodSandbox> Pods();
  std::vector<cri::Container> Containers(const std::string& pod);
  void SyncPod();
  grpc::Status SyncContainer();
  cri::PodSandboxConfig PodConfig();
  grpc::Status ExecUrl(const std::vector<std::string>& command, std::string* url);

  e2e::Node& node_;
  const std::string registry_;
  Edit edit_;
  bool limits_ = true;
  std::string pod_, container_;
  uint32_t pod_attempt_ = 0, container_attempt_ = 0;
};

std::string Describe(const grpc::Status& status);

}  // namespace wherry::crash
