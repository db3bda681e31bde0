// Many pods that do nothing: what each of them costs in memory of helper processes, in lines of the host's mount table,
// in CPU of a node that stands still; and how long the lists take that the kubelet asks for every second.
#include <time.h>

#include "test/bench/pods.h"

namespace wherry::bench {
namespace {

constexpr double kMiB = 1 << 20;
constexpr int kListRounds = 50;

// Adds the call's latency, or n/a when the runtime does not implement it.
template <typename Call>
absl::Status TimeList(const std::string& key, const std::string& title, Call call, Report& report) {
  std::vector<double> samples;
  for (int i = 0; i < kListRounds; ++i) {
    Stopwatch watch;
    absl::StatusOr<int> entries = call();
    if (absl::IsUnimplemented(entries.status())) {
      report.AddUnknown(key, title, "ms", "Unimplemented");
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(entries.status());
    samples.push_back(watch.Milliseconds());
  }
  report.AddQuantiles(key, title, "ms", samples);
  return absl::OkStatus();
}

absl::Status WhileIdle(Client& client, const Options& options, int mounts_before, Report& report) {
  ASSIGN_OR_RETURN(Memory helpers, MemoryOf(options.helpers));
  ASSIGN_OR_RETURN(Memory daemons, MemoryOf({"wherryd"}));
  if (daemons.processes == 0) {
    // Its name is the beginning of its shims' name.
    ASSIGN_OR_RETURN(Memory both, MemoryOf({"containerd"}));
    ASSIGN_OR_RETURN(Memory shims, MemoryOf({"containerd-shim"}));
    daemons = {both.processes - shims.processes, both.pss_bytes - shims.pss_bytes};
  }
  ASSIGN_OR_RETURN(int mounts, MountCount());
  const double pods = options.idle_pods;
  const std::string at = absl::StrCat("at ", options.idle_pods, " pods: ");
  report.Add("helper_pss_mib", at + "PSS of helpers, a pod", "MiB", helpers.pss_bytes / kMiB / pods);
  report.Add("helper_processes", at + "helper processes, a pod", "", helpers.processes / pods);
  report.Add("daemon_pss_mib", at + "PSS of the daemon", "MiB", daemons.pss_bytes / kMiB);
  report.Add("mounts_per_pod", at + "lines in the host's mount table, a pod", "", (mounts - mounts_before) / pods);
  RETURN_IF_ERROR(TimeList(
      "list_stats_ms", at + "ListContainerStats", [&] { return client.ListContainerStats(); }, report));
  RETURN_IF_ERROR(TimeList(
      "list_containers_ms", at + "ListContainers", [&] { return client.ListContainers(); }, report));
  RETURN_IF_ERROR(TimeList(
      "list_pods_ms", at + "ListPodSandbox", [&] { return client.ListPods(); }, report));
  ASSIGN_OR_RETURN(CpuMeter cpu, CpuMeter::Make(options.cpu_cgroup));
  if (cpu.WholeMachine()) return absl::OkStatus();  // its idle baseline would hide what is asked for
  timespec while_idle = {5, 0};
  nanosleep(&while_idle, nullptr);
  ASSIGN_OR_RETURN(double seconds, cpu.Seconds());
  report.Add("idle_cpu_percent", at + "CPU of an idle node", "%", seconds * 20);
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureIdlePods(Client& client, const Options& options, Report& report) {
  Pods pods(client, options);
  ASSIGN_OR_RETURN(int mounts_before, MountCount());
  std::vector<Pod> made;
  ASSIGN_OR_RETURN(LogWatch watch, LogWatch::Make());
  for (int i = 0; i < options.idle_pods; ++i) {
    ASSIGN_OR_RETURN(Pod pod, pods.Start(watch, absl::StrCat("idle-", i), !options.cni_network));
    made.push_back(std::move(pod));
  }
  RETURN_IF_ERROR(WhileIdle(client, options, mounts_before, report));
  RETURN_IF_ERROR(pods.RemoveAll(made));
  ASSIGN_OR_RETURN(int mounts_after, MountCount());
  report.Add("mounts_left", "after their removal: mounts left", "", mounts_after - mounts_before);
  return absl::OkStatus();
}

}  // namespace wherry::bench
