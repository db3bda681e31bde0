// StopContainer holds no lease while it waits for the end: others may stop the same container more quickly meanwhile, and
// the record of the end is the exit event's business.
#include <csignal>

#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

// A shim answers in microseconds. One that is stuck must not keep a container alive.
constexpr absl::Duration kSignalTimeout = absl::Seconds(5);
constexpr absl::Duration kKillAgain = absl::Milliseconds(200);

bool IsAlive(const store::ContainerRecord& record) {
  return record.state() == store::STARTING || record.state() == store::RUNNING;
}

// The running container's handle; nullptr when there is nothing to stop. Waits until `deadline` for a Start under way, which
// may hang (a dead NFS server): with its processes killed it fails. Some of them may come to be only after the first kill.
absl::StatusOr<std::shared_ptr<Live>> AwaitStarted(Core& core, const std::string& id, const sys::Deadline& deadline) {
  ASSIGN_OR_RETURN(store::Container record, Find(core, id));
  if (record->state() == store::STARTING) {
    for (sys::Deadline until = deadline; !core.leases.TakeBefore(record->id(), until);) {
      core.cgroups.Kill(record->cgroup_path(), 0).IgnoreError();
      until = sys::Deadline(kKillAgain);
    }
    ASSIGN_OR_RETURN(record, Find(core, id));
  }
  if (!IsAlive(*record)) return nullptr;
  return core.running.Find(record->id());
}

absl::Status Signal(Core& core, const store::ContainerRecord& record, int number, bool all) {
  shim::v1::Request request;
  auto& signal = *request.mutable_signal();
  signal.set_container_id(record.id());
  signal.set_signal(number);
  signal.set_all(all);
  return core.hub.Call(record.pod_id(), std::move(request), kSignalTimeout).status();
}

void AskToStop(Core& core, const store::ContainerRecord& record, Live& live) {
  if (live.asked_to_stop.exchange(true)) return;
  // A refused signal is no reason to fail: the container may just have ended, and SIGKILL comes at the deadline.
  if (!Signal(core, record, record.stop_signal(), false).ok()) live.asked_to_stop = false;
}

// With its shim gone or stuck the container's cgroup is still there to be killed.
// Kills all of the container. Returns how long its shim is to be waited for, which has to report the end.
absl::StatusOr<absl::Duration> KillHard(Core& core, const store::ContainerRecord& record) {
  absl::Status status = Signal(core, record, SIGKILL, true);
  if (status.ok() || absl::IsNotFound(status)) return kKillTimeout;
  RETURN_IF_ERROR(core.cgroups.Kill(record.cgroup_path(), static_cast<int>(absl::ToInt64Milliseconds(kKillTimeout))));
  return kSignalTimeout;
}

absl::Status AwaitEnd(Core& core, const store::ContainerRecord& record, Live& live, absl::Duration patience) {
  if (live.ended.WaitFor(patience)) return absl::OkStatus();
  // Names a process that is left, and what it waits for.
  RETURN_IF_ERROR(core.cgroups.Kill(record.cgroup_path(), 0));
  // All are dead, and nobody says so: the shim is stopped, or hangs itself. Its word is not worth a pod that cannot be removed.
  return MarkLost(core, record.id(), "it was killed, and its shim did not report the end");
}

}  // namespace

absl::Status Stop(Core& core, const std::string& id, absl::Duration timeout) {
  const sys::Deadline deadline(timeout);
  auto found = Find(core, id);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();  // stopped and removed, for all that anybody can tell
  RETURN_IF_ERROR(found.status());
  const store::Container record = *found;
  auto live = AwaitStarted(core, record->id(), deadline);
  if (absl::IsNotFound(live.status())) return absl::OkStatus();
  RETURN_IF_ERROR(live.status());
  if (*live == nullptr) return absl::OkStatus();
  if (timeout > absl::ZeroDuration()) {
    AskToStop(core, *record, **live);
    if ((*live)->ended.WaitUntil(deadline)) return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(absl::Duration patience, KillHard(core, *record));
  return AwaitEnd(core, *record, **live, patience);
}

absl::Status KillAll(Core& core, const std::string& pod_id) {
  struct Dying {
    store::Container record;
    std::shared_ptr<Live> live;
    absl::Duration patience;
  };
  core.looks.Abandon(pod_id);
  std::vector<Dying> dying;
  absl::Status result;
  for (const auto& record : core.store.ContainersOf(pod_id)) {
    auto live = AwaitStarted(core, record->id(), sys::Deadline(absl::ZeroDuration()));
    if (!live.ok() || *live == nullptr) continue;
    auto patience = KillHard(core, *record);
    if (!patience.ok()) result.Update(sys::Annotate(patience.status(), absl::StrCat("kill container ", record->id())));
    dying.push_back({record, *live, patience.value_or(kSignalTimeout)});
  }
  for (const auto& [record, live, patience] : dying) result.Update(AwaitEnd(core, *record, *live, patience));
  return result;
}

}  // namespace wherry::container
