#include "test/crash/kubelet.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>

namespace wherry::crash {
namespace {

// A program that ends when it is asked to, and at the end of a file's existence.
const std::vector<std::string> kProgram = {
    "sh", "-c", "trap 'exit 0' TERM; touch /alive; while [ -e /alive ]; do usleep 2000; done"};

// Longer than anything takes that is not stuck.
void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

}  // namespace

std::string Describe(const grpc::Status& status) {
  return "code " + std::to_string(status.error_code()) + ": " + status.error_message();
}

cri::PodSandboxConfig Kubelet::PodConfig() {
  cri::PodSandboxConfig config = node_.PodConfig("pod");
  config.mutable_metadata()->set_attempt(pod_attempt_);
  if (edit_) edit_(config);
  return config;
}

grpc::Status Kubelet::RunPod() {
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = PodConfig();
  cri::RunPodSandboxResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  grpc::Status status = node_.runtime().RunPodSandbox(&context, request, &response);
  pod_ = response.pod_sandbox_id();
  return status;
}

grpc::Status Kubelet::Create() {
  cri::CreateContainerRequest request = node_.CreateRequest(pod_, "main", kProgram);
  request.mutable_config()->mutable_metadata()->set_attempt(container_attempt_);
  *request.mutable_sandbox_config() = PodConfig();
  const auto& wanted = request.sandbox_config().linux().security_context().namespace_options();
  auto& namespaces =
      *request.mutable_config()->mutable_linux()->mutable_security_context()->mutable_namespace_options();
  namespaces = wanted;
  if (limits_) request.mutable_config()->mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(64 << 20);
  cri::CreateContainerResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  grpc::Status status = node_.runtime().CreateContainer(&context, request, &response);
  container_ = response.container_id();
  return status;
}

grpc::Status Kubelet::Start() { return node_.TryStart(container_); }

grpc::Status Kubelet::Exec(const std::vector<std::string>& command) {
  cri::ExecSyncRequest request;
  request.set_container_id(container_);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(30);
  cri::ExecSyncResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return node_.runtime().ExecSync(&context, request, &response);
}

grpc::Status Kubelet::StopContainer() { return node_.TryStop(container_, 2); }
grpc::Status Kubelet::RemoveContainer() { return node_.TryRemove(container_); }
grpc::Status Kubelet::StopPod() { return node_.TryStopPod(pod_); }
grpc::Status Kubelet::RemovePod() { return node_.TryRemovePod(pod_); }

grpc::Status Kubelet::UpdateContainer() {
  cri::UpdateContainerResourcesRequest request;
  request.set_container_id(container_);
  request.mutable_linux()->set_memory_limit_in_bytes(96 << 20);
  request.mutable_linux()->set_cpu_shares(512);
  cri::UpdateContainerResourcesResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return node_.runtime().UpdateContainerResources(&context, request, &response);
}

grpc::Status Kubelet::UpdatePod() {
  cri::UpdatePodSandboxResourcesRequest request;
  request.set_pod_sandbox_id(pod_);
  request.mutable_resources()->set_cpu_shares(512);
  cri::UpdatePodSandboxResourcesResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return node_.runtime().UpdatePodSandboxResources(&context, request, &response);
}

grpc::Status Kubelet::ReopenLog() {
  cri::ReopenContainerLogRequest request;
  request.set_container_id(container_);
  cri::ReopenContainerLogResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return node_.runtime().ReopenContainerLog(&context, request, &response);
}

grpc::Status Kubelet::RemoveImage(const std::string& name) {
  cri::RemoveImageRequest request;
  request.mutable_image()->set_image(name);
  cri::RemoveImageResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return node_.images().RemoveImage(&context, request, &response);
}

grpc::Status Kubelet::Pull(const std::string& name) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(name);
  cri::PullImageResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return node_.images().PullImage(&context, request, &response);
}

grpc::Status Kubelet::Import(const std::string& archive) {
  wherry::v1::ImportImageRequest request;
  request.set_path(archive);
  wherry::v1::ImportImageResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return node_.own().ImportImage(&context, request, &response);
}

cri::ContainerState Kubelet::State() { return node_.Status(container_).state(); }

std::vector<cri::PodSandbox> Kubelet::Pods() {
  cri::ListPodSandboxResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  const grpc::Status status = node_.runtime().ListPodSandbox(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << "ListPodSandbox: " << Describe(status);
  return {response.items().begin(), response.items().end()};
}

std::vector<cri::Container> Kubelet::Containers(const std::string& pod) {
  cri::ListContainersRequest request;
  request.mutable_filter()->set_pod_sandbox_id(pod);
  cri::ListContainersResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  const grpc::Status status = node_.runtime().ListContainers(&context, request, &response);
  EXPECT_TRUE(status.ok()) << "ListContainers: " << Describe(status);
  return {response.containers().begin(), response.containers().end()};
}

void Kubelet::SyncPod() {
  const std::vector<cri::PodSandbox> pods = Pods();
  const auto ready =
      std::find_if(pods.begin(), pods.end(), [](const auto& pod) { return pod.state() == cri::SANDBOX_READY; });
  if (ready != pods.end()) {
    pod_ = ready->id();
    return;
  }
  for (const auto& pod : pods) {
    pod_attempt_ = std::max(pod_attempt_, pod.metadata().attempt() + 1);
    const grpc::Status stopped = node_.TryStopPod(pod.id());  // as before it makes the next
    EXPECT_TRUE(stopped.ok()) << "StopPodSandbox of a pod that is not ready: " << Describe(stopped);
  }
  const grpc::Status run = RunPod();
  ASSERT_TRUE(run.ok()) << "RunPodSandbox again: " << Describe(run);
  container_attempt_ = 0;
}

grpc::Status Kubelet::SyncContainer() {
  for (const auto& container : Containers(pod_)) {
    container_attempt_ = std::max(container_attempt_, container.metadata().attempt() + 1);
    if (container.state() == cri::CONTAINER_RUNNING) {
      container_ = container.id();
      return Exec({"true"});
    }
  }
  grpc::Status status = Create();
  if (status.ok()) status = Start();
  return status.ok() ? Exec({"true"}) : status;
}

// It lists again where a shim's end, or that of a program that was killed before its first instruction, is known only after the list.
void Kubelet::Sync() {
  grpc::Status status;
  for (int i = 0; i < 20; ++i) {
    ASSERT_NO_FATAL_FAILURE(SyncPod());
    status = SyncContainer();
    if (status.error_code() != grpc::UNAVAILABLE && status.error_code() != grpc::FAILED_PRECONDITION) break;
    usleep(20000);
  }
  EXPECT_TRUE(status.ok()) << "a pod with a container, again: " << Describe(status);
}

void Kubelet::RemoveAll() {
  for (const auto& pod : Pods()) {
    grpc::Status status = node_.TryStopPod(pod.id());
    EXPECT_TRUE(status.ok()) << "StopPodSandbox: " << Describe(status);
    status = node_.TryRemovePod(pod.id());
    EXPECT_TRUE(status.ok()) << "RemovePodSandbox: " << Describe(status);
  }
  EXPECT_TRUE(Pods().empty());
  EXPECT_TRUE(Containers("").empty());
}

}  // namespace wherry::crash
