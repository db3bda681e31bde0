// UpdatePodSandboxResources. The pod's cgroup is the kubelet's: it tells us before it writes the limits and again with the old
// values when that failed. What is ours is to know them, for the pod's status and for whoever asks us.
#include "absl/strings/str_cat.h"
#include "cri/container/resources.h"
#include "cri/pod/core.h"
#include "runtime/sys/status.h"

namespace wherry::pod {

absl::Status UpdateResources(Core& core, const ::runtime::v1::UpdatePodSandboxResourcesRequest& request) {
  RETURN_IF_ERROR_CTX(container::ToCgroup(request.overhead()).status(), "overhead");
  RETURN_IF_ERROR(container::ToCgroup(request.resources()).status());
  ASSIGN_OR_RETURN(store::Pod found, Find(core, request.pod_sandbox_id()));
  auto lease = core.containers.leases.Take(found->id());
  ASSIGN_OR_RETURN(found, Find(core, found->id()));
  store::PodRecord record = *found;
  auto& linux_config = *record.mutable_config()->mutable_linux();
  if (request.has_overhead()) *linux_config.mutable_overhead() = request.overhead();
  if (request.has_resources()) *linux_config.mutable_resources() = request.resources();
  return sys::Annotate(core.store.Put(std::move(record)), absl::StrCat("update pod sandbox ", found->id()));
}

}  // namespace wherry::pod
