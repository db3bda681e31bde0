// The end of a container, however it comes to be known: by the shim's event, by the shim's state after a restart of wherryd,
// or by the shim's death. First the record, because it is what everybody waits for; then what can only be seen from inside:
// the shim may forget, the cgroup goes. Once the record is there all of it can be repeated.
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

void SetExit(const shim::v1::Exit& exit, store::ContainerRecord& record) {
  record.set_state(store::EXITED);
  record.set_exit_code(exit.code());
  record.set_finished_at_ns(exit.finished_at_ns());
  record.set_oom_killed(exit.oom_killed());
  // A process that shrugged off the OOM kill of a child and ended well has not failed.
  bool oom = exit.oom_killed() && exit.code() != 0;
  record.set_reason(oom ? "OOMKilled" : exit.code() == 0 ? "Completed" : "Error");
}

absl::Status Complete(Core& core, const store::ContainerRecord& current, const shim::v1::Exit& exit) {
  store::ContainerRecord record = current;
  SetExit(exit, record);
  RETURN_IF_ERROR(core.store.Put(std::move(record)));
  core.running.End(current.id());
  return absl::OkStatus();
}

absl::Status Forget(Core& core, const std::string& pod_id, const std::string& id) {
  shim::v1::Request request;
  request.mutable_forget()->set_container_id(id);
  return core.hub.Call(pod_id, std::move(request), kShimTimeout).status();
}

absl::Status Tidy(Core& core, const std::string& pod_id, const std::string& id, const std::string& cgroup_path) {
  auto lease = core.leases.Take(id);
  // The pod may be going down and its shim with it.
  Forget(core, pod_id, id).IgnoreError();
  return DestroyCgroup(core, cgroup_path);
}

void TidyLater(Core& core, const std::string& pod_id, const std::string& id, const std::string& cgroup_path) {
  core.tidiers.Submit([&core, pod_id, id, cgroup_path] {
    absl::Status tidied = Tidy(core, pod_id, id, cgroup_path);
    if (!tidied.ok()) spdlog::error("cgroup of container {}: {}", id, std::string(tidied.message()));
  });
}

absl::Status Handle(Core& core, const std::string& pod_id, const std::string& id, const shim::v1::Exit& exit) {
  auto lease = core.leases.Take(id);
  auto record = core.store.FindContainer(id);
  bool running = record.ok() && ((*record)->state() == store::RUNNING || (*record)->state() == store::STARTING);
  if (running) RETURN_IF_ERROR(Complete(core, **record, exit));
  TidyLater(core, pod_id, id, record.ok() ? (*record)->cgroup_path() : "");
  return absl::OkStatus();
}

// Nobody saw it end.
absl::Status CompleteLost(Core& core, const store::ContainerRecord& current, const std::string& message) {
  store::ContainerRecord record = current;
  record.set_state(store::EXITED);
  record.set_exit_code(128 + 9);
  record.set_reason("Error");
  record.set_message(message);
  record.set_finished_at_ns(core.Now());
  return core.store.Put(std::move(record));
}

}  // namespace

absl::Status OnExit(Core& core, const std::string& pod_id, const shim::v1::ContainerExited& event) {
  return sys::Annotate(Handle(core, pod_id, event.container_id(), event.exit()),
                       absl::StrCat("end of container ", event.container_id()));
}

absl::Status MarkLost(Core& core, const std::string& id, const std::string& message) {
  auto lease = core.leases.Take(id);
  ASSIGN_OR_RETURN(store::Container current, core.store.FindContainer(id));
  if (current->state() != store::RUNNING && current->state() != store::STARTING) return absl::OkStatus();
  absl::Status killed = DestroyCgroup(core, current->cgroup_path());
  RETURN_IF_ERROR(CompleteLost(core, *current, message));
  core.running.End(id);
  return killed;
}

absl::Status Recover(Core& core, const store::ContainerRecord& record, const shim::v1::ContainerState* state,
                     const std::string& why_lost) {
  const std::string& id = record.id();
  if (record.state() == store::CREATING || record.state() == store::REMOVING) return Remove(core, id);
  HoldAgain(core, record);
  if (record.state() == store::EXITED) {
    TidyLater(core, record.pod_id(), id, record.cgroup_path());
    return absl::OkStatus();
  }
  if (state == nullptr || state->pid() == 0) {
    if (record.state() == store::CREATED && why_lost.empty()) return absl::OkStatus();
    store::ContainerRecord lost = record;
    lost.set_state(store::RUNNING);
    RETURN_IF_ERROR(core.store.Put(lost));
    return MarkLost(core, id, why_lost.empty() ? "its shim does not know it" : why_lost);
  }
  store::ContainerRecord known = record;
  known.set_state(store::RUNNING);
  known.set_pid(state->pid());
  known.set_started_at_ns(state->started_at_ns());
  if (!known.has_user()) {
    auto& user = *known.mutable_user()->mutable_linux();
    user.set_uid(state->user().uid());
    user.set_gid(state->user().gid());
    for (uint32_t group : state->user().groups()) user.add_supplemental_groups(group);
  }
  if (record.state() != store::RUNNING) RETURN_IF_ERROR(core.store.Put(known));
  if (state->has_exit()) return Handle(core, record.pod_id(), id, state->exit());
  ASSIGN_OR_RETURN(shim::v1::Cgroup cgroup, CgroupOf(core, record.cgroup_path()));
  core.running.Add(id, std::move(cgroup));
  return absl::OkStatus();
}

absl::Status RecoverAfterReboot(Core& core, const store::ContainerRecord& record) {
  if (record.state() == store::CREATING || record.state() == store::REMOVING) return Remove(core, record.id());
  HoldAgain(core, record);
  return record.state() == store::EXITED ? absl::OkStatus() : CompleteLost(core, record, "the node was rebooted");
}

}  // namespace wherry::container
