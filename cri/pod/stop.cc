// Taking a pod down. Every step works when its object is gone already and is tried whatever the others say, so that one
// stuck plugin does not keep containers alive. The shim ends here rather than at the removal: a stopped pod starts nothing
// any more, and all exit codes are in the store.
#include <sys/mount.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "cri/pod/core.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::pod {

network::PodNetwork NetworkOf(const store::PodRecord& pod) {
  network::PodNetwork out;
  out.pod_id = pod.id();
  out.netns_path = pod.netns_path();
  out.name = pod.config().metadata().name();
  out.uid = pod.config().metadata().uid();
  out.k8s_namespace = pod.config().metadata().namespace_();
  out.cgroup_path = pod.cgroup_path();
  for (const auto& m : pod.config().port_mappings())
    out.port_mappings.push_back({absl::AsciiStrToLower(::runtime::v1::Protocol_Name(m.protocol())), m.container_port(),
                                 m.host_port(), m.host_ip()});
  const auto& dns = pod.config().dns_config();
  out.dns_servers.assign(dns.servers().begin(), dns.servers().end());
  out.dns_searches.assign(dns.searches().begin(), dns.searches().end());
  out.dns_options.assign(dns.options().begin(), dns.options().end());
  for (const auto& [key, value] : pod.config().annotations()) out.annotations[key] = value;
  return out;
}

absl::Status Unpin(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  WHERRY_FAIL_POINT("netns.unmount");
  // Detached: somebody may be looking into the namespace at this moment.
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT)
    return sys::Errno(absl::StrCat("umount2 \"", path, "\""));
  WHERRY_FAIL_POINT("netns.unlink");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return sys::Errno(absl::StrCat("unlink \"", path, "\""));
  return absl::OkStatus();
}

absl::Status TakeDown(Core& core, const store::PodRecord& pod) {
  absl::Status result = container::KillAll(core.containers, pod.id());
  if (pod.network_attached()) result.Update(sys::Annotate(core.network.Remove(NetworkOf(pod)), "network of the pod"));
  shim::Process process{pod.shim_pid(), pod.shim_start_time()};
  if (process.pid <= 0 && pod.state() == store::POD_CREATING) process = FindShim(pod.id());
  if (process.pid > 0) result.Update(core.containers.hub.End(pod.id(), process));
  // The namespace must outlive a failed DEL, which needs it at the next attempt.
  if (result.ok()) result.Update(Unpin(pod.netns_path()));
  return result;
}

absl::StatusOr<store::Pod> Find(const Core& core, const std::string& id) {
  if (id.empty()) return absl::InvalidArgumentError("pod sandbox id is empty");
  ASSIGN_OR_RETURN(store::Pod pod, core.store.FindPod(id));
  if (pod->state() == store::POD_CREATING)
    return absl::NotFoundError(absl::StrCat("pod sandbox \"", id, "\" not found"));
  return pod;
}

absl::Status Stop(Core& core, const std::string& id) {
  auto found = Find(core, id);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();  // stopped and removed, for all that anybody can tell
  RETURN_IF_ERROR(found.status());
  auto lease = core.containers.leases.Take((*found)->id());
  found = Find(core, (*found)->id());
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  RETURN_IF_ERROR(found.status());
  store::PodRecord pod = **found;
  if (pod.state() == store::POD_NOT_READY && !pod.network_attached() && pod.shim_pid() == 0) return absl::OkStatus();
  if (pod.state() == store::POD_READY) {
    pod.set_state(store::POD_STOPPING);
    RETURN_IF_ERROR(core.store.Put(pod));
  }
  RETURN_IF_ERROR_CTX(TakeDown(core, pod), absl::StrCat("stop pod sandbox ", pod.id()));
  pod.set_network_attached(false);
  pod.set_shim_pid(0);
  if (pod.state() == store::POD_STOPPING) pod.set_state(store::POD_NOT_READY);
  return core.store.Put(pod);
}

}  // namespace wherry::pod
