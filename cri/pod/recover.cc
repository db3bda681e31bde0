// After a start of wherryd the records say what was, and the shims what is. Pods are looked at side by side, because the
// slowest shim must not decide how long a node is without its runtime. Trouble with one pod is logged and leaves that pod
// NOT_READY; the kubelet then makes another one.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <functional>
#include <map>
#include <thread>

#include "absl/strings/ascii.h"
#include "cri/network/strays.h"
#include "cri/pod/core.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::pod {
namespace {

constexpr int kThreads = 8;

using States = std::map<std::string, shim::v1::ContainerState>;

absl::StatusOr<States> AskShim(Core& core, const store::PodRecord& pod) {
  shim::Process process{pod.shim_pid(), pod.shim_start_time()};
  RETURN_IF_ERROR(core.containers.hub.Connect(pod.id(), core.paths.shim_socket(pod.id()), process));
  shim::v1::Request request;
  request.mutable_state();
  ASSIGN_OR_RETURN(shim::Reply reply, core.containers.hub.Call(pod.id(), std::move(request), container::kShimTimeout));
  States states;
  for (const auto& c : reply.message.state().containers()) states[c.container_id()] = c;
  return states;
}

absl::Status RecoverContainers(Core& core, const std::string& pod_id, const States& states,
                               const std::string& why_lost) {
  absl::Status result;
  for (const store::Container& c : core.store.ContainersOf(pod_id)) {
    auto state = states.find(c->id());
    result.Update(container::Recover(core.containers, *c, state == states.end() ? nullptr : &state->second, why_lost));
  }
  return result;
}

absl::Status RecoverRebooted(Core& core, const store::PodRecord& pod) {
  // The shim's number is somebody else's now, even for what is to be removed.
  store::PodRecord dead = pod;
  dead.set_shim_pid(0);
  // One with a network is stopped to the end, by Finish: its addresses are free again before a kubelet asks for that, which it
  // may do long after new pods have come.
  if (dead.state() != store::POD_CREATING && dead.state() != store::POD_REMOVING)
    dead.set_state(dead.network_attached() ? store::POD_STOPPING : store::POD_NOT_READY);
  if (dead.shim_pid() != pod.shim_pid() || dead.state() != pod.state())
    RETURN_IF_ERROR(core.store.Put(std::move(dead)));
  absl::Status result;
  for (const store::Container& c : core.store.ContainersOf(pod.id()))
    result.Update(container::RecoverAfterReboot(core.containers, *c));
  return result;
}

absl::Status SetNotReady(Core& core, store::PodRecord pod) {
  pod.set_state(store::POD_NOT_READY);
  return core.store.Put(std::move(pod));
}

absl::Status RecoverPod(Core& core, const store::PodRecord& pod, const std::string& boot_id) {
  if (pod.boot_id() != boot_id) return RecoverRebooted(core, pod);
  if (pod.state() == store::POD_CREATING || pod.state() == store::POD_REMOVING)
    return RecoverContainers(core, pod.id(), {}, "the pod was being removed");
  if (pod.shim_pid() == 0) return RecoverContainers(core, pod.id(), {}, "the pod was stopped");
  auto states = AskShim(core, pod);
  if (states.ok()) {
    return RecoverContainers(core, pod.id(), *states, "");
  }
  RETURN_IF_ERROR(
      RecoverContainers(core, pod.id(), {}, absl::StrCat("the pod's shim is gone: ", states.status().message())));
  return pod.state() == store::POD_STOPPING ? absl::OkStatus() : SetNotReady(core, pod);
}

// Does `work` for each pod, several at a time; what fails is logged.
void ForEachPod(const std::vector<store::Pod>& pods, const std::function<absl::Status(const store::PodRecord&)>& work) {
  std::atomic<size_t> next{0};
  auto take = [&] {
    for (size_t i; (i = next++) < pods.size();) {
      absl::Status status = work(*pods[i]);
      if (!status.ok()) spdlog::error("recovery of pod sandbox {}: {}", pods[i]->id(), std::string(status.message()));
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < kThreads && i < pods.size(); ++i) threads.emplace_back(take);
  take();
  for (std::thread& thread : threads) thread.join();
}

// What a crash interrupted is finished or undone. A pod that cannot be undone now becomes visible as a stopped one, so that
// the kubelet's garbage collection tries again.
absl::Status Finish(Core& core, const store::PodRecord& pod) {
  WHERRY_FAIL_POINT("recover.finish");
  if (pod.state() == store::POD_STOPPING) return Stop(core, pod.id());
  if (pod.state() != store::POD_CREATING && pod.state() != store::POD_REMOVING) return absl::OkStatus();
  absl::Status removed = Remove(core, pod.id());
  if (removed.ok() || pod.state() == store::POD_REMOVING) return removed;
  auto lease = core.containers.leases.Take(pod.id());
  if (auto left = core.store.FindPod(pod.id()); left.ok() && (*left)->state() == store::POD_CREATING)
    removed.Update(SetNotReady(core, **left));
  return removed;
}

// Plugins that the last wherryd was waiting for when it was killed.
void KillStrayPlugins(const Core& core) {
  std::vector<std::string> ids;
  for (const store::Pod& pod : core.store.Pods())
    if (pod->state() != store::POD_READY && pod->network_attached()) ids.push_back(pod->id());
  for (const std::string& id : UnknownPods(core)) ids.push_back(id);
  if (absl::Status status = network::KillStrays(ids); !status.ok()) spdlog::warn("{}", std::string(status.message()));
}

}  // namespace

absl::Status Recover(Core& core) {
  ASSIGN_OR_RETURN(std::string boot, sys::ReadFileAt(AT_FDCWD, "/proc/sys/kernel/random/boot_id"));
  const std::string boot_id(absl::StripAsciiWhitespace(boot));
  KillStrayPlugins(core);
  WHERRY_CRASH_POINT("recover.pods");
  ForEachPod(core.store.Pods(), [&](const store::PodRecord& pod) { return RecoverPod(core, pod, boot_id); });
  WHERRY_CRASH_POINT("recover.inbox");
  core.containers.inbox.Open(&core);
  core.recovered = core.store.Pods();
  return absl::OkStatus();
}

void FinishInterrupted(Core& core) {
  core.finisher = std::thread([&core, pods = std::move(core.recovered)] {
    ForEachPod(pods, [&](const store::PodRecord& pod) { return Finish(core, pod); });
    WHERRY_CRASH_POINT("recover.leftovers");
    RemoveLeftovers(core);
  });
}

}  // namespace wherry::pod
