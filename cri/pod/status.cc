// Sandboxes as CRI shows them, from memory.
#include "runtime/sys/status.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cri/container/view.h"
#include "cri/pod/core.h"
#include "cri/pod/view.h"

namespace wherry::pod {
namespace {

namespace cri = ::runtime::v1;

cri::PodSandboxState StateOf(const store::PodRecord& pod) {
  return pod.state() == store::POD_READY ? cri::SANDBOX_READY : cri::SANDBOX_NOTREADY;
}

template <typename Message>
void FillCommon(const store::PodRecord& pod, Message& out) {
  out.set_id(pod.id());
  *out.mutable_metadata() = pod.config().metadata();
  out.set_state(StateOf(pod));
  out.set_created_at(pod.created_at_ns());
  *out.mutable_labels() = pod.config().labels();
  *out.mutable_annotations() = pod.config().annotations();
  out.set_runtime_handler(pod.runtime_handler());
}

// As OCI's runtime configuration has them, because that is where tools look for a pod's network namespace.
nlohmann::json Namespaces(const store::PodRecord& pod) {
  nlohmann::json out = nlohmann::json::array();
  if (!pod.netns_path().empty()) out.push_back({{"type", "network"}, {"path", pod.netns_path()}});
  if (pod.shim_pid() == 0) return out;
  const std::string directory = absl::StrCat("/proc/", pod.shim_pid(), "/ns/");
  if (NamespacesOf(pod.config()).ipc() != cri::NODE) out.push_back({{"type", "ipc"}, {"path", directory + "ipc"}});
  if (!HasHostNetwork(pod.config())) out.push_back({{"type", "uts"}, {"path", directory + "uts"}});
  return out;
}

std::string VerboseInfo(const store::PodRecord& pod) {
  nlohmann::json info = {{"pid", pod.shim_pid()},
                         {"cgroupPath", pod.cgroup_path()},
                         {"networkNamespace", pod.netns_path()},
                         {"runtimeHandler", pod.runtime_handler()},
                         {"runtimeSpec",
                          {{"process", {{"selinuxLabel", pod.selinux_process_label()}}},
                           {"linux",
                            {{"cgroupsPath", pod.cgroup_path()},
                             {"mountLabel", pod.selinux_file_label()},
                             {"namespaces", Namespaces(pod)}}}}},
                         {"ips", nlohmann::json::array()}};
  for (const std::string& ip : pod.ips()) info["ips"].push_back(ip);
  return info.dump();
}

bool Selected(const store::PodRecord& pod, const cri::PodSandboxFilter& filter) {
  if (pod.state() == store::POD_CREATING || !absl::StartsWith(pod.id(), filter.id())) return false;
  if (filter.has_state() && filter.state().state() != StateOf(pod)) return false;
  return container::LabelsMatch(filter.label_selector(), pod.config().labels());
}

}  // namespace

cri::PodSandboxStatus StatusOf(const store::PodRecord& pod) {
  cri::PodSandboxStatus status;
  FillCommon(pod, status);
  *status.mutable_linux()->mutable_namespaces()->mutable_options() = NamespacesOf(pod.config());
  cri::PodSandboxNetworkStatus& net = *status.mutable_network();
  for (int i = 0; i < pod.ips_size(); ++i)
    i == 0 ? net.set_ip(pod.ips(i)) : net.add_additional_ips()->set_ip(pod.ips(i));
  return status;
}

absl::StatusOr<cri::PodSandboxStatusResponse> Service::Status(const std::string& id, bool verbose) const {
  ASSIGN_OR_RETURN(store::Pod pod, Find(*core_, id));
  cri::PodSandboxStatusResponse out;
  *out.mutable_status() = StatusOf(*pod);
  for (cri::ContainerStatus& c : container::StatusesOf(core_->containers, pod->id()))
    *out.add_containers_statuses() = std::move(c);
  out.set_timestamp(absl::GetCurrentTimeNanos());
  if (verbose) (*out.mutable_info())["info"] = VerboseInfo(*pod);
  return out;
}

std::vector<cri::PodSandbox> Service::List(const cri::PodSandboxFilter& filter) const {
  std::vector<cri::PodSandbox> out;
  for (const store::Pod& pod : core_->store.Pods())
    if (Selected(*pod, filter)) FillCommon(*pod, out.emplace_back());
  return out;
}

}  // namespace wherry::pod
