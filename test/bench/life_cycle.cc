// Pod starts and tear-downs: one at a time for latency, several at a time for throughput. A start is Run + Create + Start
// until the container's first byte is in its log; a tear-down is Stop + Remove of container and pod. One warm-up pod goes
// first, because a runtime's first pod pays for caches that no later one pays for.
#include <atomic>
#include <mutex>
#include <thread>

#include "test/bench/pods.h"

namespace wherry::bench {
namespace {

struct Flavour {
  bool host_network;
  const char* key;
  const char* title;
};

absl::Status OneAtATime(Pods& pods, const Options& options, const Flavour& flavour, Report& report) {
  ASSIGN_OR_RETURN(LogWatch watch, LogWatch::Make());
  ASSIGN_OR_RETURN(Pod warm_up, pods.Start(watch, absl::StrCat("warm-", flavour.key), flavour.host_network));
  RETURN_IF_ERROR(pods.Remove(warm_up));
  ASSIGN_OR_RETURN(CpuMeter cpu, CpuMeter::Make(options.cpu_cgroup));
  std::vector<double> starts, removals;
  for (int i = 0; i < options.rounds; ++i) {
    Stopwatch start;
    ASSIGN_OR_RETURN(Pod pod, pods.Start(watch, absl::StrCat(flavour.key, "-", i), flavour.host_network));
    starts.push_back(start.Milliseconds());
    Stopwatch removal;
    RETURN_IF_ERROR(pods.Remove(pod));
    removals.push_back(removal.Milliseconds());
  }
  ASSIGN_OR_RETURN(double seconds, cpu.Seconds());
  const std::string title(flavour.title);
  report.AddQuantiles(absl::StrCat("start_", flavour.key, "_ms"), title + ": start to first log byte", "ms", starts);
  report.AddQuantiles(absl::StrCat("remove_", flavour.key, "_ms"), title + ": tear-down", "ms", removals);
  report.Add(absl::StrCat("life_", flavour.key, "_cpu_ms"), title + ": CPU, start and tear-down", "ms",
             seconds * 1e3 / options.rounds);
  return absl::OkStatus();
}

// Runs `work(i, t)` for i in 0 … count-1 on `threads` threads, of which t is one; the first error stops all.
template <typename Work>
absl::Status InParallel(int threads, int count, Work work) {
  std::atomic<int> next = 0;
  std::mutex mutex;
  absl::Status first;
  std::vector<std::thread> running;
  running.reserve(static_cast<size_t>(threads));
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (int i = next++; i < count; i = next++) {
        absl::Status status = work(i, static_cast<size_t>(t));
        if (status.ok()) continue;
        std::lock_guard lock(mutex);
        first.Update(status);
        next = count;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  return first;
}

absl::Status SeveralAtATime(Pods& pods, const Options& options, const Flavour& flavour, Report& report) {
  const auto count = static_cast<size_t>(options.rounds) * 2;
  std::vector<Pod> made(count);
  std::vector<double> starts(count), removals(count);
  std::vector<LogWatch> watches;
  for (int t = 0; t < options.parallel; ++t) {
    ASSIGN_OR_RETURN(LogWatch watch, LogWatch::Make());
    watches.push_back(std::move(watch));
  }
  auto start = [&](int i, size_t t) -> absl::Status {
    auto n = static_cast<size_t>(i);
    Stopwatch time;
    ASSIGN_OR_RETURN(made[n], pods.Start(watches[t], absl::StrCat("many-", flavour.key, "-", i), flavour.host_network));
    starts[n] = time.Milliseconds();
    return absl::OkStatus();
  };
  auto remove = [&](int i, size_t) -> absl::Status {
    auto n = static_cast<size_t>(i);
    Stopwatch time;
    RETURN_IF_ERROR(pods.Remove(made[n]));
    removals[n] = time.Milliseconds();
    return absl::OkStatus();
  };
  Stopwatch all_starts;
  RETURN_IF_ERROR(InParallel(options.parallel, static_cast<int>(count), start));
  double start_seconds = all_starts.Milliseconds() / 1e3;
  Stopwatch all_removals;
  RETURN_IF_ERROR(InParallel(options.parallel, static_cast<int>(count), remove));
  double removal_seconds = all_removals.Milliseconds() / 1e3;
  const std::string title = absl::StrCat(flavour.title, ", ", options.parallel, " at a time: ");
  const auto pods_made = static_cast<double>(count);
  report.Add(absl::StrCat("starts_", flavour.key, "_per_s"), title + "starts", "pods/s", pods_made / start_seconds);
  report.AddQuantiles(absl::StrCat("many_start_", flavour.key, "_ms"), title + "start", "ms", starts);
  report.Add(absl::StrCat("removals_", flavour.key, "_per_s"), title + "tear-downs", "pods/s",
             pods_made / removal_seconds);
  report.AddQuantiles(absl::StrCat("many_remove_", flavour.key, "_ms"), title + "tear-down", "ms", removals);
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureLifeCycle(Client& client, const Options& options, Report& report) {
  Pods pods(client, options);
  for (const Flavour& flavour : {Flavour{false, "cni", "CNI network"}, Flavour{true, "host", "host network"}}) {
    if (flavour.host_network ? !options.host_network : !options.cni_network) continue;
    RETURN_IF_ERROR(OneAtATime(pods, options, flavour, report));
    RETURN_IF_ERROR(SeveralAtATime(pods, options, flavour, report));
  }
  return absl::OkStatus();
}

}  // namespace wherry::bench
