#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/directories.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

// Everything in the order that a later attempt can repeat: the record goes last. The log file is the kubelet's.
absl::Status RemoveDead(Core& core, const std::string& id) {
  auto lease = core.leases.Take(id);
  auto current = core.store.FindContainer(id);
  if (absl::IsNotFound(current.status())) return absl::OkStatus();
  RETURN_IF_ERROR(current.status());
  if ((*current)->state() != store::REMOVING) {
    store::ContainerRecord record = **current;
    record.set_state(store::REMOVING);
    RETURN_IF_ERROR(core.store.Put(std::move(record)));
  }
  RETURN_IF_ERROR(DestroyCgroup(core, (*current)->cgroup_path()));
  RETURN_IF_ERROR(RemoveTree(core.paths.container(id)));
  core.images.Release(id);
  return core.store.DeleteContainer(id);
}

absl::Status RemoveById(Core& core, const std::string& id) {
  absl::Status stopped = Stop(core, id, absl::ZeroDuration());
  if (!stopped.ok() && !absl::IsNotFound(stopped)) return stopped;
  return RemoveDead(core, id);
}

}  // namespace

absl::Status Remove(Core& core, const std::string& id) {
  if (id.empty()) return absl::InvalidArgumentError("container id is empty");
  auto record = core.store.FindContainer(id);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  RETURN_IF_ERROR(record.status());
  return sys::Annotate(RemoveById(core, (*record)->id()), absl::StrCat("remove container ", (*record)->id()));
}

absl::Status RemoveAll(Core& core, const std::string& pod_id) {
  absl::Status result;
  for (const auto& record : core.store.ContainersOf(pod_id)) {
    absl::Status status = RemoveById(core, record->id());
    if (!status.ok()) result.Update(sys::Annotate(status, absl::StrCat("remove container ", record->id())));
  }
  return result;
}

}  // namespace wherry::container
