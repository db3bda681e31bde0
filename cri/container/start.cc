// StartContainer: cgroup, then the shim clones the program into it. The record says STARTING before the first side effect;
// after a crash the shim knows whether the program runs.
#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::Status CheckCreated(const store::ContainerRecord& record) {
  if (record.state() == store::CREATED) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("container ", record.id(), " cannot be started: it is ",
                                                    store::ContainerRecordState_Name(record.state()), ", not CREATED"));
}

absl::Status CheckPodReady(Core& core, const store::ContainerRecord& record) {
  ASSIGN_OR_RETURN(store::Pod pod, core.store.FindPod(record.pod_id()));
  if (pod->state() == store::POD_READY) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("sandbox ", pod->id(), " is not ready"));
}

absl::StatusOr<shim::v1::StartContainerReply> Launch(Core& core, const store::ContainerRecord& record) {
  shim::v1::StartContainerRequest start;
  if (!start.ParseFromString(record.spec())) return absl::DataLossError("the recorded specification cannot be read");
  RETURN_IF_ERROR(SetSeccomp(core, record.config(), *start.mutable_process()));
  // Once more: tools that tidy up profiles know nothing of ours.
  RETURN_IF_ERROR(EnsureAppArmor(core, start.process().apparmor_profile()));
  std::unique_ptr<cgroup::Hold> hold;
  ASSIGN_OR_RETURN(*start.mutable_cgroup(), PrepareCgroup(core, record, start.rootfs().all_devices(), hold));
  core.running.Add(record.id(), start.cgroup());
  shim::v1::Request request;
  *(start.has_hooks() ? request.mutable_start_with_hooks() : request.mutable_start_container()) = std::move(start);
  ASSIGN_OR_RETURN(shim::Reply reply, core.hub.Call(record.pod_id(), std::move(request), kStartTimeout));
  return reply.message.start_container();
}

void SetUser(const shim::v1::User& user, store::ContainerRecord& record) {
  auto& to = *record.mutable_user()->mutable_linux();
  to.set_uid(user.uid());
  to.set_gid(user.gid());
  for (uint32_t group : user.groups()) to.add_supplemental_groups(group);
}

// Containers are never started twice, so a failed start is their end.
absl::Status Fail(Core& core, store::ContainerRecord record, const absl::Status& cause) {
  absl::Status cleaned = DestroyCgroup(core, record.cgroup_path());
  record.set_state(store::EXITED);
  record.set_exit_code(128);
  record.set_reason("StartError");
  record.set_message(std::string(cause.message()));
  record.set_finished_at_ns(core.Now());
  absl::Status stored = core.store.Put(std::move(record));
  std::string text(cause.message());
  if (!cleaned.ok()) absl::StrAppend(&text, "; removing its cgroup: ", cleaned.message());
  if (!stored.ok()) absl::StrAppend(&text, "; recording it: ", stored.message());
  return absl::Status(cause.code(), text);
}

absl::Status StartOnce(Core& core, const std::string& id) {
  auto lease = core.leases.Take(id);
  ASSIGN_OR_RETURN(store::Container current, Find(core, id));
  RETURN_IF_ERROR(CheckCreated(*current));
  RETURN_IF_ERROR(CheckPodReady(core, *current));
  store::ContainerRecord record = *current;
  record.set_state(store::STARTING);
  RETURN_IF_ERROR(core.store.Put(record));
  // A Stop of the pod writes its record first and then looks for what runs: one of us two sees the other. Nothing was done
  // yet, so nothing is left but the old state.
  if (absl::Status ready = CheckPodReady(core, record); !ready.ok()) {
    ready.Update(core.store.Put(*current));
    return ready;
  }
  auto reply = Launch(core, record);
  absl::Status status = reply.status();
  if (status.ok()) {
    record.set_state(store::RUNNING);
    record.set_pid(reply->pid());
    record.set_started_at_ns(reply->started_at_ns());
    SetUser(reply->user(), record);
    status = core.store.Put(record);
  }
  if (status.ok()) return status;
  status = Fail(core, *current, status);
  core.running.End(id);
  return status;
}

}  // namespace

absl::Status Start(Core& core, const std::string& id) {
  ASSIGN_OR_RETURN(store::Container record, Find(core, id));
  return sys::Annotate(core.starts.Run(record->id(), [&] { return StartOnce(core, record->id()); }),
                       absl::StrCat("start container ", record->id()));
}

}  // namespace wherry::container
