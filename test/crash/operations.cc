#include "test/crash/operations.h"

#include <grpcpp/grpcpp.h>

#include <ostream>

namespace wherry::crash {
namespace {

using Step = Operation::Step;

const Step kRunPod = &Kubelet::RunPod, kCreate = &Kubelet::Create, kStart = &Kubelet::Start,
           kStopContainer = &Kubelet::StopContainer, kRemoveContainer = &Kubelet::RemoveContainer,
           kStopPod = &Kubelet::StopPod, kRemovePod = &Kubelet::RemovePod, kUpdate = &Kubelet::UpdateContainer,
           kUpdatePod = &Kubelet::UpdatePod, kReopen = &Kubelet::ReopenLog, kLeaveExec = &Kubelet::LeaveExec,
           kAttach = &Kubelet::Attach, kForward = &Kubelet::Forward;

const std::vector<Step> kRunning = {kRunPod, kCreate, kStart};

grpc::Status Exec(Kubelet& kubelet) { return kubelet.Exec({"sh", "-c", "echo one; sleep 0.01; echo two"}); }

grpc::Status StreamExec(Kubelet& kubelet) { return kubelet.StreamExec({"sh", "-c", "echo one; sleep 0.01; echo two"}); }

// A container that ends by itself, up to the kubelet's knowledge of it.
grpc::Status End(Kubelet& kubelet) {
  grpc::Status told = kubelet.Exec({"rm", "/alive"});
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < end) {
    cri::ContainerStatusRequest request;
    request.set_container_id(kubelet.container());
    cri::ContainerStatusResponse response;
    grpc::ClientContext context;
    grpc::Status status = kubelet.node().runtime().ContainerStatus(&context, request, &response);
    if (!status.ok() || response.status().state() == cri::CONTAINER_EXITED) return status;
    usleep(2000);
  }
  return told;
}

grpc::Status Pull(Kubelet& kubelet) { return kubelet.Pull(kubelet.registry() + "/pulled:1"); }
grpc::Status RemovePulled(Kubelet& kubelet) { return kubelet.RemoveImage(kubelet.registry() + "/pulled:1"); }
grpc::Status Import(Kubelet& kubelet) { return kubelet.Import(kArchive); }
grpc::Status RemoveImported(Kubelet& kubelet) { return kubelet.RemoveImage(kArchiveName); }

void HostNetwork(cri::PodSandboxConfig& config) {
  config.clear_port_mappings();
  config.clear_hostname();
  auto& namespaces = *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  namespaces.set_network(cri::NODE);
  namespaces.set_pid(cri::POD);
}

void UserNamespace(cri::PodSandboxConfig& config) {
  auto& namespaces = *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  auto& users = *namespaces.mutable_userns_options();
  users.set_mode(cri::POD);
  for (auto* map : {users.add_uids(), users.add_gids()}) {
    map->set_host_id(1 << 20);
    map->set_length(1 << 16);
  }
}

std::vector<Operation> Requests() {
  return {
      {.name = "RunPodSandbox", .prepare = {}, .act = kRunPod, .again = {}},
      {.name = "CreateContainer", .prepare = {kRunPod}, .act = kCreate, .again = {}},
      {.name = "StartContainer", .prepare = {kRunPod, kCreate}, .act = kStart, .again = {}},
      {.name = "ExecSync", .prepare = kRunning, .act = Exec, .again = {}},
      {.name = "UpdateContainerResources", .prepare = kRunning, .act = kUpdate, .again = {}},
      {.name = "UpdatePodSandboxResources", .prepare = {kRunPod}, .act = kUpdatePod, .again = {}},
      {.name = "ReopenContainerLog", .prepare = kRunning, .act = kReopen, .again = {}},
      {.name = "Exec", .prepare = kRunning, .act = StreamExec, .again = {}},
      {.name = "ExecThatIsLeft", .prepare = kRunning, .act = kLeaveExec, .again = {}},
      {.name = "Attach", .prepare = kRunning, .act = kAttach, .again = {}},
      {.name = "PortForward", .prepare = kRunning, .act = kForward, .again = {}},
      {.name = "TheEndOfAContainer", .prepare = kRunning, .act = End, .again = {}},
      {.name = "StopContainer", .prepare = kRunning, .act = kStopContainer, .again = {kStopContainer}},
      {.name = "RemoveContainer", .prepare = kRunning, .act = kRemoveContainer, .again = {kRemoveContainer}},
      {.name = "StopPodSandbox", .prepare = kRunning, .act = kStopPod, .again = {kStopPod}},
      {.name = "RemovePodSandbox", .prepare = kRunning, .act = kRemovePod, .again = {kRemovePod}},
      {.name = "PullImage", .prepare = {}, .act = Pull, .again = {Pull, RemovePulled}},
      {.name = "ImportImage", .prepare = {}, .act = Import, .again = {Import, RemoveImported}},
      {.name = "RemoveImage", .prepare = {Pull}, .act = RemovePulled, .again = {RemovePulled}},
  };
}

std::vector<Operation> OtherPods() {
  return {
      {.name = "RunPodSandboxInTheHostsNetwork", .prepare = {}, .act = kRunPod, .again = {}, .edit = HostNetwork},
      {.name = "StartContainerInTheHostsNetwork",
       .prepare = {kRunPod, kCreate},
       .act = kStart,
       .again = {},
       .edit = HostNetwork},
      {.name = "RunPodSandboxWithAUserNamespace", .prepare = {}, .act = kRunPod, .again = {}, .edit = UserNamespace},
      {.name = "StartContainerWithAUserNamespace",
       .prepare = {kRunPod, kCreate},
       .act = kStart,
       .again = {},
       .edit = UserNamespace},
  };
}

std::vector<Operation> OnVersion2() {
  return {
      {.name = "StartContainerOnV2", .prepare = {kRunPod, kCreate}, .act = kStart, .again = {}, .v2 = true},
      {.name = "StopContainerOnV2", .prepare = kRunning, .act = kStopContainer, .again = {kStopContainer}, .v2 = true},
      {.name = "RemovePodSandboxOnV2", .prepare = kRunning, .act = kRemovePod, .again = {kRemovePod}, .v2 = true},
      {.name = "StartWithARunningPodOnV2", .prepare = kRunning, .act = kRunPod, .again = {}, .start = true, .v2 = true},
  };
}

std::vector<Operation> Starts() {
  const auto start = [](const char* name, std::vector<Step> prepare, Step act, const char* dies_at, int time,
                        std::vector<Step> again = {}) {
    return Operation{.name = name,
                     .prepare = std::move(prepare),
                     .act = std::move(act),
                     .again = std::move(again),
                     .dies_at = dies_at,
                     .dies_time = time,
                     .start = true};
  };
  return {
      start("StartWithARunningPod", kRunning, kRunPod, "", 1),
      start("StartAfterAnInterruptedRunPodSandbox", {}, kRunPod, "cni.called", 1),
      start("StartAfterAnInterruptedStartContainer", {kRunPod, kCreate}, kStart, "hub.answered", 1),
      start("StartAfterAnInterruptedStopPodSandbox", kRunning, kStopPod, "cni.called", 1),
      start("StartAfterAnInterruptedRemovePodSandbox", kRunning, kRemovePod, "netns.unlink", 1),
      start("StartAfterAnInterruptedPullImage", {}, Pull, "image.committed", 1, {Pull, RemovePulled}),
  };
}

}  // namespace

void PrintTo(const Operation& operation, std::ostream* out) { *out << operation.name; }

std::vector<Operation> AllOperations(bool whole) {
  std::vector<Operation> all = Requests();
  for (Operation& operation : OtherPods()) all.push_back(std::move(operation));
  for (Operation& operation : Starts()) all.push_back(std::move(operation));
  if (!whole) return all;
  for (Operation& operation : OnVersion2()) all.push_back(std::move(operation));
  return all;
}

std::vector<Operation> OperationsToHold(bool whole) {
  std::vector<Operation> all = Requests();
  if (!whole) std::erase_if(all, [](const Operation& each) { return each.name != "StopPodSandbox"; });
  return all;
}

}  // namespace wherry::crash
