// RunPodSandbox, a pipeline: record, directories and files, cgroup, shim, namespaces, network, record. What undoes all of it is
// one function, TakeDown and Erase, which work on whatever exists: a failure here, a crash and RemovePodSandbox are the same.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "absl/strings/ascii.h"
#include "cri/config/config.h"
#include "cri/container/directories.h"
#include "cri/container/ids.h"
#include "cri/container/resources.h"
#include "cri/container/user_namespace.h"
#include "cri/pod/core.h"
#include "runtime/cgroup/unit.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::pod {
namespace {

namespace cri = ::runtime::v1;

constexpr int kShimOomScoreAdj = -999;

absl::StatusOr<store::PodRecord> Plan(Core& core, const cri::RunPodSandboxRequest& request) {
  store::PodRecord pod;
  ASSIGN_OR_RETURN(std::string boot_id, sys::ReadFileAt(AT_FDCWD, "/proc/sys/kernel/random/boot_id"));
  pod.set_id(container::NewId());
  pod.set_state(store::POD_CREATING);
  *pod.mutable_config() = request.config();
  pod.set_runtime_handler(request.runtime_handler());
  pod.set_created_at_ns(core.containers.Now());
  pod.set_boot_id(std::string(absl::StripAsciiWhitespace(boot_id)));
  if (!HasHostNetwork(request.config())) pod.set_netns_path(core.paths.netns(pod.id()));
  const std::string& parent = request.config().linux().cgroup_parent();
  pod.set_owns_cgroup(parent.empty());
  pod.set_cgroup_path(parent.empty() ? core.paths.own_pod_cgroup(pod.id()) : parent);
  if (cgroup::IsSlice(parent)) {
    ASSIGN_OR_RETURN(*pod.mutable_cgroup_path(), cgroup::SlicePath(parent));
  }
  return pod;
}

absl::Status MakeDirectories(Core& core, const store::PodRecord& pod) {
  RETURN_IF_ERROR(container::MakeDirectories(core.paths.pod(pod.id()), 0700));
  if (!pod.netns_path().empty()) RETURN_IF_ERROR(container::MakeDirectories(core.paths.all_netns(), 0700));
  return WriteFiles(core.paths, pod);
}

// A cgroup given by the kubelet exists and is the kubelet's to limit.
absl::Status MakeCgroup(Core& core, const store::PodRecord& pod) {
  if (!pod.owns_cgroup()) return absl::OkStatus();
  RETURN_IF_ERROR(core.containers.cgroups.Create(pod.cgroup_path()));
  if (!pod.config().linux().has_resources()) return absl::OkStatus();
  ASSIGN_OR_RETURN(cgroup::Resources limits, container::ToCgroup(pod.config().linux().resources()));
  return core.containers.cgroups.Apply(pod.cgroup_path(), limits);
}

absl::StatusOr<shim::v1::Request> SetupRequest(Core& core, const store::PodRecord& pod,
                                               std::unique_ptr<cgroup::Hold>& hold) {
  const cri::PodSandboxConfig& config = pod.config();
  shim::v1::Request request;
  shim::v1::SetupPodRequest& setup = *request.mutable_setup_pod();
  setup.set_pod_id(pod.id());
  setup.set_new_net(!HasHostNetwork(config));
  setup.set_new_uts(!HasHostNetwork(config));
  setup.set_new_ipc(NamespacesOf(config).ipc() != cri::NODE);
  setup.set_netns_path(pod.netns_path());
  if (setup.new_uts()) setup.set_hostname(config.hostname());
  for (const auto& [name, value] : config.linux().sysctls()) (*setup.mutable_sysctls())[name] = value;
  setup.set_oom_score_adj(kShimOomScoreAdj);
  if (auto users = container::UserNamespaceOf(config)) *setup.mutable_user_namespace() = *std::move(users);
  // Where its containers have none (container/selinux.cc), what they share has none either.
  if (NamespacesOf(config).pid() != cri::NODE ||
      container::AsksForLabel(config.linux().security_context().selinux_options()))
    setup.set_mount_label(pod.selinux_file_label());
  setup.set_shared_pid(NamespacesOf(config).pid() == cri::POD);
  if (setup.shared_pid()) {
    const std::string path = container::Paths::pod_init_cgroup(pod.cgroup_path(), pod.id());
    ASSIGN_OR_RETURN(hold, core.containers.cgroups.CreateLeaf(path, {}));
    ASSIGN_OR_RETURN(*setup.mutable_cgroup(), container::CgroupOf(core.containers, path));
  }
  return request;
}

absl::Status StartShim(Core& core, store::PodRecord& pod) {
  ASSIGN_OR_RETURN(shim::Process process, core.containers.hub.Spawn(pod.id(), core.paths.shim_socket(pod.id())));
  pod.set_shim_pid(process.pid);
  pod.set_shim_start_time(process.start_time);
  std::unique_ptr<cgroup::Hold> hold;
  ASSIGN_OR_RETURN(shim::v1::Request setup, SetupRequest(core, pod, hold));
  return core.containers.hub.Call(pod.id(), std::move(setup), container::kShimTimeout).status();
}

absl::Status Attach(Core& core, store::PodRecord& pod) {
  if (pod.netns_path().empty()) return absl::OkStatus();
  pod.set_network_attached(true);
  RETURN_IF_ERROR(core.store.Put(pod));
  ASSIGN_OR_RETURN(network::Addresses addresses, core.network.Add(NetworkOf(pod)));
  for (const std::string& ip : addresses.ips) pod.add_ips(ip);
  return absl::OkStatus();
}

absl::Status Make(Core& core, store::PodRecord& pod) {
  RETURN_IF_ERROR(core.store.Put(pod));
  RETURN_IF_ERROR(MakeDirectories(core, pod));
  RETURN_IF_ERROR_CTX(MakeCgroup(core, pod), "pod cgroup");
  RETURN_IF_ERROR_CTX(StartShim(core, pod), "shim");
  RETURN_IF_ERROR_CTX(Attach(core, pod), "network");
  pod.set_state(store::POD_READY);
  return core.store.Put(pod);
}

bool SameName(const cri::PodSandboxMetadata& a, const cri::PodSandboxMetadata& b) {
  return a.name() == b.name() && a.namespace_() == b.namespace_() && a.uid() == b.uid() && a.attempt() == b.attempt();
}

// What cannot be undone now stays visible as a stopped pod, so that the kubelet's garbage collection tries again.
absl::Status Undo(Core& core, store::PodRecord& pod) {
  absl::Status undone = TakeDown(core, pod);
  if (undone.ok()) undone = Erase(core, pod);
  if (undone.ok()) return undone;
  pod.set_state(store::POD_NOT_READY);
  undone.Update(core.store.Put(pod));
  return undone;
}

absl::StatusOr<std::string> RunOnce(Core& core, const cri::RunPodSandboxRequest& request) {
  for (const store::Pod& other : core.store.Pods()) {
    if (!SameName(other->config().metadata(), request.config().metadata())) continue;
    if (other->state() != store::POD_CREATING)
      return absl::AlreadyExistsError(absl::StrCat("pod sandbox ", other->id(), " has this name and attempt"));
    RETURN_IF_ERROR_CTX(Remove(core, other->id()), "left over from a failed attempt");
  }
  ASSIGN_OR_RETURN(store::PodRecord pod, Plan(core, request));
  ASSIGN_OR_RETURN(const Levels::Reserved level, SetLabels(core, pod));
  auto lease = core.containers.leases.Take(pod.id());
  absl::Status made = Make(core, pod);
  if (made.ok()) return pod.id();
  absl::Status undone = Undo(core, pod);
  if (!undone.ok()) {
    spdlog::error("undo of pod sandbox {}: {}", pod.id(), std::string(undone.message()));
    return absl::Status(made.code(), absl::StrCat(made.message(), " (and undoing it: ", undone.message(), ")"));
  }
  return made;
}

}  // namespace

absl::StatusOr<std::string> Run(Core& core, const cri::RunPodSandboxRequest& request) {
  const bool systemd = core.containers.config.cgroup_driver == config::CgroupDriver::kSystemd;
  RETURN_IF_ERROR(Validate(request, systemd));
  RETURN_IF_ERROR(config::FindHandler(core.containers.config, request.runtime_handler()).status());
  if (const absl::Status& able = core.containers.host.user_namespaces;
      !able.ok() && container::UserNamespaceOf(request.config()))
    return absl::FailedPreconditionError(absl::StrCat("this host cannot give pods a user namespace: ", able.message()));
  const cri::PodSandboxMetadata& m = request.config().metadata();
  const std::string key = absl::StrCat(m.namespace_(), "=", m.name(), "=", m.uid(), "=", m.attempt());
  return core.runs.Run(key, [&] { return RunOnce(core, request); });
}

}  // namespace wherry::pod
