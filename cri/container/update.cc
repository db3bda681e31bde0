// UpdateContainerResources. The new limits are set first and recorded afterwards: after a crash in between, the status shows the
// old values and the kubelet, which compares, asks again. The other order would show limits that do not hold.
#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/resources.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

namespace cri = ::runtime::v1;

// Below what the program cannot give back the kernel would kill it (v2) or try for long and then refuse (v1).
absl::Status CheckMemory(Core& core, const store::ContainerRecord& record, const cri::LinuxContainerResources& wanted) {
  const int64_t limit = wanted.memory_limit_in_bytes();
  if (limit <= 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(cgroup::Stats stats, core.cgroups.Read(record.cgroup_path()));
  if (stats.memory_working_set <= static_cast<uint64_t>(limit)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("resources.memory_limit_in_bytes = ", limit,
                                                    " is less than what the container uses (", stats.memory_working_set,
                                                    " bytes, without reclaimable caches)"));
}

// A running program's score is set once, by its shim: the processes that it made meanwhile cannot be changed all at once.
absl::Status CheckOomScore(const store::ContainerRecord& record, const cri::LinuxContainerResources& wanted) {
  const int64_t now = record.resources().oom_score_adj();
  if (wanted.oom_score_adj() == 0 || wanted.oom_score_adj() == now) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("resources.oom_score_adj = ", wanted.oom_score_adj(), ": it is ", now,
                                               " and cannot be changed after the container was created"));
}

absl::Status UpdateRunning(Core& core, const store::ContainerRecord& old, store::ContainerRecord record,
                           const cri::LinuxContainerResources& wanted) {
  ASSIGN_OR_RETURN(cgroup::Resources before, ToCgroup(old.resources()));
  ASSIGN_OR_RETURN(cgroup::Resources after, ToCgroup(record.resources()));
  RETURN_IF_ERROR(CheckMemory(core, old, wanted));
  RETURN_IF_ERROR(core.cgroups.Apply(old.cgroup_path(), after));
  WHERRY_CRASH_POINT("update.applied");
  absl::Status stored = core.store.Put(std::move(record));
  if (!stored.ok()) stored.Update(core.cgroups.Apply(old.cgroup_path(), before));
  return stored;
}

}  // namespace

absl::Status UpdateResources(Core& core, const cri::UpdateContainerResourcesRequest& request) {
  if (request.has_windows()) return absl::InvalidArgumentError("windows: this is a Linux node");
  ASSIGN_OR_RETURN(store::Container found, Find(core, request.container_id()));
  auto lease = core.leases.Take(found->id());
  ASSIGN_OR_RETURN(found, Find(core, found->id()));
  if (found->state() != store::CREATED && found->state() != store::RUNNING) {
    return absl::FailedPreconditionError(absl::StrCat("container ", found->id(), " has no resources to update: it is ",
                                                      store::ContainerRecordState_Name(found->state())));
  }
  RETURN_IF_ERROR(CheckOomScore(*found, request.linux()));
  store::ContainerRecord record = *found;
  MergeResources(request.linux(), *record.mutable_resources());
  absl::Status status;
  if (found->state() == store::RUNNING) {
    status = UpdateRunning(core, *found, std::move(record), request.linux());
  } else {
    status = ToCgroup(record.resources()).status();
    if (status.ok()) status = core.store.Put(std::move(record));
  }
  return sys::Annotate(status, absl::StrCat("update container ", found->id()));
}

}  // namespace wherry::container
