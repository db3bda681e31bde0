#include "cri/container/directories.h"
#include "cri/pod/core.h"
#include "runtime/sys/status.h"

namespace wherry::pod {

absl::Status Erase(Core& core, const store::PodRecord& pod) {
  RETURN_IF_ERROR(container::RemoveAll(core.containers, pod.id()));
  const std::string init = container::Paths::pod_init_cgroup(pod.cgroup_path(), pod.id());
  RETURN_IF_ERROR(container::DestroyCgroup(core.containers, pod.owns_cgroup() ? pod.cgroup_path() : init));
  RETURN_IF_ERROR(container::RemoveTree(core.paths.pod(pod.id())));
  return core.store.DeletePod(pod.id());
}

absl::Status Remove(Core& core, const std::string& id) {
  if (id.empty()) return absl::InvalidArgumentError("pod sandbox id is empty");
  auto found = core.store.FindPod(id);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  RETURN_IF_ERROR(found.status());
  auto lease = core.containers.leases.Take((*found)->id());
  found = core.store.FindPod((*found)->id());
  if (absl::IsNotFound(found.status())) return absl::OkStatus();  // somebody else has removed it meanwhile
  RETURN_IF_ERROR(found.status());
  store::PodRecord pod = **found;
  if (pod.state() != store::POD_CREATING && pod.state() != store::POD_REMOVING) {
    pod.set_state(store::POD_REMOVING);
    RETURN_IF_ERROR(core.store.Put(pod));
  }
  const std::string context = absl::StrCat("remove pod sandbox ", pod.id());
  RETURN_IF_ERROR_CTX(TakeDown(core, pod), context);
  return sys::Annotate(Erase(core, pod), context);
}

}  // namespace wherry::pod
