// What the shims tell. The hub's thread only hands over; the work may wait for leases and disks.
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "cri/pod/core.h"
#include "runtime/sys/status.h"

namespace wherry::pod {
namespace {

// A pod without its shim cannot go on: its containers would have no log, no exit code and no parent.
absl::Status Lose(Core& core, const std::string& pod_id) {
  absl::Status result;
  for (const store::Container& c : core.store.ContainersOf(pod_id)) {
    absl::Status lost =
        container::MarkLost(core.containers, c->id(), "the pod's shim was killed, and the container with it");
    if (!absl::IsNotFound(lost)) result.Update(lost);
  }
  auto lease = core.containers.leases.Take(pod_id);
  auto found = core.store.FindPod(pod_id);
  if (!found.ok() || (*found)->state() != store::POD_READY) return result;
  store::PodRecord pod = **found;
  pod.set_state(store::POD_NOT_READY);  // the network goes with StopPodSandbox
  result.Update(core.store.Put(std::move(pod)));
  return result;
}

// A shim tells once, and nobody asks again. What failed is mostly the disk under the records.
bool IsDone(const absl::Status& status, int tried_before) {
  if (!status.ok() && tried_before == 0)
    spdlog::error("{}; it is tried until it succeeds", std::string(status.message()));
  return status.ok();
}

}  // namespace

void Core::ContainerExited(const std::string& pod_id, const shim::v1::ContainerExited& event) {
  containers.ends.End(event.container_id(), event.exit());
  containers.workers.SubmitUntilDone(
      [this, pod_id, event](int before) { return IsDone(container::OnExit(containers, pod_id, event), before); });
}

void Core::ExecExited(const std::string&, const shim::v1::ExecExited& event) {
  containers.ends.End(event.exec_id(), event.exit());
}

void Core::ShimLost(const std::string& pod_id) {
  containers.ends.ShimLost(pod_id);
  containers.workers.SubmitUntilDone([this, pod_id](int before) {
    return IsDone(sys::Annotate(Lose(*this, pod_id), absl::StrCat("lost shim of pod sandbox ", pod_id)), before);
  });
}

}  // namespace wherry::pod
