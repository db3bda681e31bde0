#include "cri/stats/collector.h"

#include <chrono>

#include "absl/time/clock.h"
#include "cri/stats/convert.h"
#include "cri/stats/metrics.h"
#include "runtime/sys/status.h"

namespace wherry::stats {
namespace {

namespace cri = ::runtime::v1;

constexpr uint64_t kQuickWalk = 1000;  // files

template <typename Labels>
bool Selects(const Labels& selector, const Labels& labels) {
  for (const auto& [key, value] : selector) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  return true;
}

// Into ContainerStats or LinuxPodSandboxStats, where the kernel measures it.
template <typename Stats>
void FillPressures(const cgroup::Pressures& pressures, int64_t now_ns, Stats& out) {
  if (pressures.cpu) FillPressure(*pressures.cpu, *out.mutable_cpu()->mutable_psi());
  if (pressures.memory) FillPressure(*pressures.memory, *out.mutable_memory()->mutable_psi());
  if (!pressures.io) return;
  out.mutable_io()->set_timestamp(now_ns);
  FillPressure(*pressures.io, *out.mutable_io()->mutable_psi());
}

// For differences; timestamps are of the wall clock.
int64_t SteadyNs() { return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool HasPrefix(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

Collector::Collector(const store::Store& store, cgroup::Cgroups& cgroups, Options options)
    : store_(store), cgroups_(cgroups), options_(std::move(options)), layers_([this] {
        std::map<std::string, std::string> out;
        for (const auto& c : store_.Containers())
          if (c->state() == store::RUNNING) out[c->id()] = options_.upperdir(c->id());
        return out;
      }) {}

cri::ContainerStats Collector::Read(const store::ContainerRecord& record) {
  cri::ContainerStats out;
  out.mutable_attributes()->set_id(record.id());
  *out.mutable_attributes()->mutable_metadata() = record.config().metadata();
  *out.mutable_attributes()->mutable_labels() = record.config().labels();
  *out.mutable_attributes()->mutable_annotations() = record.config().annotations();
  if (record.state() != store::RUNNING) return out;
  const int64_t now = absl::GetCurrentTimeNanos();
  // It may end at any moment: what cannot be read any more is left out, and the next list leaves out the container.
  if (auto stats = cgroups_.Read(record.cgroup_path()); stats.ok()) {
    FillCpu(*stats, now, rates_.Add(record.id(), SteadyNs(), stats->cpu_usage_ns), *out.mutable_cpu());
    FillMemory(*stats, now, *out.mutable_memory());
    FillSwap(*stats, now, *out.mutable_swap());
    FillPressures(cgroups_.ReadPressures(record.cgroup_path()), now, out);
  }
  std::optional<DiskUse> disk = layers_.Get(record.id());
  cri::FilesystemUsage* layer = out.mutable_writable_layer();
  layer->set_timestamp(disk ? disk->at_ns : now);
  layer->mutable_fs_id()->set_mountpoint(options_.mountpoint);
  if (disk) {
    layer->mutable_used_bytes()->set_value(disk->bytes);
    layer->mutable_inodes_used()->set_value(disk->inodes);
  }
  return out;
}

cri::PodSandboxStats Collector::Read(const store::PodRecord& record) {
  cri::PodSandboxStats out;
  out.mutable_attributes()->set_id(record.id());
  *out.mutable_attributes()->mutable_metadata() = record.config().metadata();
  *out.mutable_attributes()->mutable_labels() = record.config().labels();
  *out.mutable_attributes()->mutable_annotations() = record.config().annotations();
  if (record.state() != store::POD_READY) return out;
  cri::LinuxPodSandboxStats& linux_stats = *out.mutable_linux();
  const int64_t now = absl::GetCurrentTimeNanos();
  if (auto stats = cgroups_.Read(record.cgroup_path()); stats.ok()) {
    FillCpu(*stats, now, rates_.Add(record.id(), SteadyNs(), stats->cpu_usage_ns), *linux_stats.mutable_cpu());
    FillMemory(*stats, now, *linux_stats.mutable_memory());
    FillPressures(cgroups_.ReadPressures(record.cgroup_path()), now, linux_stats);
    linux_stats.mutable_process()->set_timestamp(now);
    linux_stats.mutable_process()->mutable_process_count()->set_value(stats->pids);
  }
  // A pod in the host's network has no traffic of its own. The shim lives in the pod's namespace: its view is the pod's.
  if (!record.netns_path().empty())
    if (auto interfaces = ReadInterfaces(record.shim_pid()); interfaces.ok())
      FillNetwork(*interfaces, now, *linux_stats.mutable_network());
  for (const auto& container : store_.ContainersOf(record.id()))
    if (container->state() == store::RUNNING) *linux_stats.add_containers() = Read(*container);
  return out;
}

absl::StatusOr<cri::ContainerStats> Collector::OfContainer(const std::string& id) {
  ASSIGN_OR_RETURN(store::Container record, store_.FindContainer(id));
  return Read(*record);
}

std::vector<cri::ContainerStats> Collector::OfContainers(const cri::ContainerStatsFilter& filter) {
  rates_.Expire(SteadyNs());
  std::vector<cri::ContainerStats> out;
  for (const auto& record : store_.Containers()) {
    if (record->state() != store::RUNNING || !HasPrefix(record->id(), filter.id()) ||
        !HasPrefix(record->pod_id(), filter.pod_sandbox_id()) ||
        !Selects(filter.label_selector(), record->config().labels()))
      continue;
    out.push_back(Read(*record));
  }
  return out;
}

absl::StatusOr<cri::PodSandboxStats> Collector::OfPod(const std::string& id) {
  ASSIGN_OR_RETURN(store::Pod record, store_.FindPod(id));
  return Read(*record);
}

std::vector<cri::PodSandboxStats> Collector::OfPods(const cri::PodSandboxStatsFilter& filter) {
  rates_.Expire(SteadyNs());
  std::vector<cri::PodSandboxStats> out;
  for (const auto& record : store_.Pods()) {
    if (record->state() != store::POD_READY || !HasPrefix(record->id(), filter.id()) ||
        !Selects(filter.label_selector(), record->config().labels()))
      continue;
    out.push_back(Read(*record));
  }
  return out;
}

std::vector<cri::Metric> Collector::MetricsOf(const store::PodRecord& pod, const store::ContainerRecord* container,
                                              const FileSystem* file_system) {
  Measured measured;
  measured.pod = &pod;
  measured.container = container;
  measured.now_ns = absl::GetCurrentTimeNanos();
  const std::string& path = container != nullptr ? container->cgroup_path() : pod.cgroup_path();
  const absl::StatusOr<cgroup::Stats> stats = cgroups_.Read(path);
  const cgroup::Detail detail = cgroups_.ReadDetail(path);
  if (stats.ok()) measured.stats = &*stats;
  measured.detail = &detail;
  measured.pressures = cgroups_.ReadPressures(path);
  const absl::StatusOr<std::vector<int>> processes = cgroups_.Processes(path);
  if (processes.ok()) measured.processes = processes->size();
  if (container != nullptr) {
    if (processes.ok()) measured.descriptors = CountDescriptors(*processes);
    measured.file_system = file_system;
    measured.disk = DiskUseOf(container->id());
  } else if (!pod.netns_path().empty()) {
    if (auto interfaces = ReadInterfaces(pod.shim_pid()); interfaces.ok()) measured.interfaces = *std::move(interfaces);
  }
  return Metrics(measured);
}

std::optional<DiskUse> Collector::DiskUseOf(const std::string& container) {
  std::optional<DiskUse> known = layers_.Get(container);
  if (known) return known;
  auto walked = Walk(options_.upperdir(container), kQuickWalk);
  if (walked.ok()) known = *walked;
  return known;
}

std::vector<cri::PodSandboxMetrics> Collector::MetricsOfPods() {
  std::vector<cri::PodSandboxMetrics> out;
  const absl::StatusOr<FileSystem> read = ReadFileSystem(options_.mountpoint);
  const FileSystem* const file_system = read.ok() ? &*read : nullptr;
  for (const auto& pod : store_.Pods()) {
    if (pod->state() != store::POD_READY) continue;
    cri::PodSandboxMetrics& one = out.emplace_back();
    one.set_pod_sandbox_id(pod->id());
    for (cri::Metric& metric : MetricsOf(*pod, nullptr, nullptr)) *one.add_metrics() = std::move(metric);
    for (const auto& container : store_.ContainersOf(pod->id())) {
      if (container->state() != store::RUNNING) continue;
      cri::ContainerMetrics& of_container = *one.add_container_metrics();
      of_container.set_container_id(container->id());
      for (cri::Metric& metric : MetricsOf(*pod, container.get(), file_system))
        *of_container.add_metrics() = std::move(metric);
    }
  }
  return out;
}

}  // namespace wherry::stats
