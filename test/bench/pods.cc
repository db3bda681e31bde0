#include "test/bench/pods.h"

#include <sys/stat.h>
#include <unistd.h>

namespace wherry::bench {

absl::StatusOr<Pod> Pods::Prepare(const std::string& name, bool host_network) {
  Pod pod;
  pod.spec.name = absl::StrCat("bench-", getpid(), "-", name);
  pod.spec.log_dir = absl::StrCat(options_.log_root, "/", pod.spec.name);
  pod.spec.cgroup_parent = options_.cgroup_parent;
  pod.spec.host_network = host_network;
  if (mkdir(pod.spec.log_dir.c_str(), 0755) != 0) return sys::Errno(absl::StrCat("mkdir \"", pod.spec.log_dir, "\""));
  return pod;
}

absl::Status Pods::Launch(Pod& pod, const ContainerSpec& container) {
  ASSIGN_OR_RETURN(pod.id, client_.RunPod(pod.spec));
  ASSIGN_OR_RETURN(pod.container, client_.CreateContainer(pod.id, pod.spec, container));
  return client_.StartContainer(pod.container);
}

absl::StatusOr<Pod> Pods::Start(LogWatch& watch, const std::string& name, bool host_network) {
  ASSIGN_OR_RETURN(Pod pod, Prepare(name, host_network));
  RETURN_IF_ERROR(watch.Watch(pod.spec.log_dir));
  RETURN_IF_ERROR_CTX(
      Launch(pod,
             {.image = options_.image, .command = {"/bin/sh", "-c", "echo ready; exec sleep 1000000"}, .data_dir = ""}),
      pod.spec.name);
  RETURN_IF_ERROR(watch.WaitForByte("0.log"));
  return pod;
}

absl::StatusOr<Pod> Pods::StartCommand(const std::string& name, std::vector<std::string> command,
                                       std::string data_dir) {
  ASSIGN_OR_RETURN(Pod pod, Prepare(name, /*host_network=*/true));
  ContainerSpec container = {.image = options_.image, .command = std::move(command), .data_dir = std::move(data_dir)};
  RETURN_IF_ERROR_CTX(Launch(pod, container), pod.spec.name);
  return pod;
}

absl::Status Pods::Remove(const Pod& pod) {
  RETURN_IF_ERROR_CTX(client_.StopContainer(pod.container), pod.spec.name);
  RETURN_IF_ERROR_CTX(client_.RemoveContainer(pod.container), pod.spec.name);
  RETURN_IF_ERROR_CTX(client_.StopPod(pod.id), pod.spec.name);
  RETURN_IF_ERROR_CTX(client_.RemovePod(pod.id), pod.spec.name);
  // The log is the client's; the directory goes with the bench's own.
  unlink(absl::StrCat(pod.spec.log_dir, "/0.log").c_str());
  return absl::OkStatus();
}

absl::Status Pods::RemoveAll(const std::vector<Pod>& pods) {
  for (const Pod& pod : pods) RETURN_IF_ERROR(Remove(pod));
  return absl::OkStatus();
}

}  // namespace wherry::bench
