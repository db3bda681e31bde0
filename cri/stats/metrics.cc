#include "cri/stats/metrics.h"

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace wherry::stats {
namespace {

namespace cri = ::runtime::v1;

constexpr uint64_t kSecond = 1000000000;
constexpr std::array<const char*, 6> kBaseLabels = {"container", "id", "image", "name", "namespace", "pod"};

struct Family {
  const char* name;
  const char* help;
  std::array<const char*, 4> labels = {};  // beyond the base ones
};

constexpr Family kFamilies[] = {
    {"container_cpu_usage_seconds_total", "CPU time used, in seconds", {"cpu"}},
    {"container_cpu_user_seconds_total", "CPU time used by programs, in seconds"},
    {"container_cpu_system_seconds_total", "CPU time used by the kernel, in seconds"},
    {"container_cpu_cfs_periods_total", "Periods of the CPU quota in which there was something to run"},
    {"container_cpu_cfs_throttled_periods_total", "Periods of the CPU quota that were cut short"},
    {"container_cpu_cfs_throttled_seconds_total",
     "Time spent waiting for the next period of the CPU quota, in seconds"},
    {"container_memory_usage_bytes", "Memory in use, with caches"},
    {"container_memory_working_set_bytes", "Memory in use that the kernel cannot easily take back"},
    {"container_memory_rss", "Anonymous memory, in bytes"},
    {"container_memory_cache", "Page cache, in bytes"},
    {"container_memory_mapped_file", "Mapped files, in bytes"},
    {"container_memory_swap", "Swap in use, in bytes"},
    {"container_memory_failures_total", "Page faults", {"failure_type", "scope"}},
    {"container_memory_failcnt", "Times that the memory limit was hit"},
    {"container_memory_kernel_usage", "Memory that the kernel uses for it, in bytes"},
    {"container_memory_max_usage_bytes", "The most memory that was in use at a time"},
    {"container_oom_events_total", "Processes killed for want of memory"},
    {"container_hugetlb_usage_bytes", "Huge pages in use, in bytes", {"pagesize"}},
    {"container_hugetlb_max_usage_bytes", "The most huge pages that were in use at a time, in bytes", {"pagesize"}},
    {"container_pressure_cpu_waiting_seconds_total", "Time in which a task waited for a CPU, in seconds"},
    {"container_pressure_cpu_stalled_seconds_total", "Time in which all tasks waited for a CPU, in seconds"},
    {"container_pressure_memory_waiting_seconds_total", "Time in which a task waited for memory, in seconds"},
    {"container_pressure_memory_stalled_seconds_total", "Time in which all tasks waited for memory, in seconds"},
    {"container_pressure_io_waiting_seconds_total", "Time in which a task waited for input or output, in seconds"},
    {"container_pressure_io_stalled_seconds_total", "Time in which all tasks waited for input or output, in seconds"},
    {"container_processes", "Processes"},
    {"container_threads", "Processes and threads, as pids.current counts them"},
    {"container_threads_max", "Limit of processes and threads; 0 is none"},
    {"container_file_descriptors", "Open file descriptors of all processes"},
    {"container_sockets", "Open sockets of all processes"},
    {"container_fs_usage_bytes", "What the writable layer holds, in bytes", {"device"}},
    {"container_fs_inodes_used", "Files and directories of the writable layer", {"device"}},
    {"container_fs_limit_bytes", "Size of the file system of the writable layer", {"device"}},
    {"container_fs_inodes_total", "Inodes of the file system of the writable layer", {"device"}},
    {"container_fs_inodes_free", "Free inodes of the file system of the writable layer", {"device"}},
    {"container_fs_reads_bytes_total", "Bytes read from a block device", {"device"}},
    {"container_fs_reads_total", "Reads from a block device", {"device"}},
    {"container_fs_writes_bytes_total", "Bytes written to a block device", {"device"}},
    {"container_fs_writes_total", "Writes to a block device", {"device"}},
    {"container_blkio_device_usage_total", "Bytes of a block device", {"device", "major", "minor", "operation"}},
    {"container_network_receive_bytes_total", "Bytes received", {"interface"}},
    {"container_network_receive_packets_total", "Packets received", {"interface"}},
    {"container_network_receive_errors_total", "Errors while receiving", {"interface"}},
    {"container_network_receive_packets_dropped_total", "Packets dropped while receiving", {"interface"}},
    {"container_network_transmit_bytes_total", "Bytes sent", {"interface"}},
    {"container_network_transmit_packets_total", "Packets sent", {"interface"}},
    {"container_network_transmit_errors_total", "Errors while sending", {"interface"}},
    {"container_network_transmit_packets_dropped_total", "Packets dropped while sending", {"interface"}},
    {"container_spec_cpu_period", "Period of the CPU quota, in microseconds"},
    {"container_spec_cpu_quota", "CPU quota, in microseconds a period"},
    {"container_spec_cpu_shares", "CPU shares"},
    {"container_spec_memory_limit_bytes", "Memory limit"},
    {"container_spec_memory_swap_limit_bytes", "Limit of memory plus swap"},
    {"container_start_time_seconds", "Unix time of the start, in seconds"},
    {"container_last_seen", "Unix time of these numbers, in seconds"},
};

class Writer {
 public:
  explicit Writer(const Measured& m) : now_ns_(m.now_ns) {
    const bool pod = m.container == nullptr;
    base_ = {pod ? "" : m.container->config().metadata().name(),
             pod ? m.pod->cgroup_path() : m.container->cgroup_path(),
             pod ? "" : m.container->config().image().image(),
             pod ? m.pod->id() : m.container->id(),
             m.pod->config().metadata().namespace_(),
             m.pod->config().metadata().name()};
  }

  void Count(const char* name, std::optional<uint64_t> value, std::initializer_list<const char*> labels = {}) {
    Add(name, cri::COUNTER, value, labels);
  }
  void Gauge(const char* name, std::optional<uint64_t> value, std::initializer_list<const char*> labels = {}) {
    Add(name, cri::GAUGE, value, labels);
  }

  std::vector<cri::Metric> Take() { return std::move(metrics_); }

 private:
  void Add(const char* name, cri::MetricType type, std::optional<uint64_t> value,
           std::initializer_list<const char*> labels) {
    if (!value) return;
    cri::Metric& metric = metrics_.emplace_back();
    metric.set_name(name);
    metric.set_timestamp(now_ns_);
    metric.set_metric_type(type);
    for (const std::string& label : base_) metric.add_label_values(label);
    for (const char* label : labels) metric.add_label_values(label);
    metric.mutable_value()->set_value(*value);
  }

  const int64_t now_ns_;
  std::array<std::string, kBaseLabels.size()> base_;
  std::vector<cri::Metric> metrics_;
};

std::optional<uint64_t> Seconds(std::optional<uint64_t> ns) {
  if (!ns) return std::nullopt;
  return *ns / kSecond;
}

// Of a limit: what is not limited is not shown.
std::optional<uint64_t> Positive(int64_t value) {
  if (value <= 0) return std::nullopt;
  return static_cast<uint64_t>(value);
}

void AddCpu(const cgroup::Stats& stats, const cgroup::Detail& cpu, Writer& out) {
  out.Count("container_cpu_usage_seconds_total", stats.cpu_usage_ns / kSecond, {"total"});
  out.Count("container_cpu_user_seconds_total", Seconds(cpu.user_ns));
  out.Count("container_cpu_system_seconds_total", Seconds(cpu.system_ns));
  out.Count("container_cpu_cfs_periods_total", cpu.periods);
  out.Count("container_cpu_cfs_throttled_periods_total", cpu.throttled_periods);
  out.Count("container_cpu_cfs_throttled_seconds_total", Seconds(cpu.throttled_ns));
}

void AddMemory(const cgroup::Stats& stats, const cgroup::Detail& detail, Writer& out) {
  out.Gauge("container_memory_usage_bytes", stats.memory_usage);
  out.Gauge("container_memory_working_set_bytes", stats.memory_working_set);
  out.Gauge("container_memory_rss", stats.memory_rss);
  out.Gauge("container_memory_cache", stats.memory_cache);
  out.Gauge("container_memory_mapped_file", stats.memory_mapped_files);
  out.Gauge("container_memory_swap", stats.swap_usage);
  out.Count("container_memory_failures_total", stats.page_faults, {"pgfault", "hierarchy"});
  out.Count("container_memory_failures_total", stats.major_page_faults, {"pgmajfault", "hierarchy"});
  out.Count("container_memory_failcnt", detail.memory_limit_hits);
  out.Gauge("container_memory_kernel_usage", detail.memory_kernel);
  out.Gauge("container_memory_max_usage_bytes", detail.memory_peak);
  out.Count("container_oom_events_total", detail.oom_kills);
}

void AddHugetlb(const std::vector<cgroup::HugetlbUse>& sizes, Writer& out) {
  for (const cgroup::HugetlbUse& use : sizes) {
    const char* size = use.page_size.c_str();
    out.Gauge("container_hugetlb_usage_bytes", use.usage, {size});
    out.Gauge("container_hugetlb_max_usage_bytes", use.peak, {size});
  }
}

void AddPressure(const std::optional<cgroup::Pressure>& pressure, const char* waiting, const char* stalled,
                 Writer& out) {
  constexpr uint64_t kMicroseconds = 1000000;
  if (pressure && pressure->some) out.Count(waiting, pressure->some->total_us / kMicroseconds);
  if (pressure && pressure->full) out.Count(stalled, pressure->full->total_us / kMicroseconds);
}

void AddPressures(const cgroup::Pressures& pressures, Writer& out) {
  AddPressure(pressures.cpu, "container_pressure_cpu_waiting_seconds_total",
              "container_pressure_cpu_stalled_seconds_total", out);
  AddPressure(pressures.memory, "container_pressure_memory_waiting_seconds_total",
              "container_pressure_memory_stalled_seconds_total", out);
  AddPressure(pressures.io, "container_pressure_io_waiting_seconds_total",
              "container_pressure_io_stalled_seconds_total", out);
}

void AddProcesses(const Measured& m, Writer& out) {
  out.Gauge("container_processes", m.processes);
  out.Gauge("container_threads", m.stats->pids);
  out.Gauge("container_threads_max", m.detail->pids_limit);
  if (!m.descriptors) return;
  out.Gauge("container_file_descriptors", m.descriptors->all);
  out.Gauge("container_sockets", m.descriptors->sockets);
}

void AddFileSystem(const FileSystem& fs, const std::optional<DiskUse>& disk, Writer& out) {
  const char* device = fs.device.c_str();
  if (disk) {
    out.Gauge("container_fs_usage_bytes", disk->bytes, {device});
    out.Gauge("container_fs_inodes_used", disk->inodes, {device});
  }
  out.Gauge("container_fs_limit_bytes", fs.bytes, {device});
  out.Gauge("container_fs_inodes_total", fs.inodes, {device});
  out.Gauge("container_fs_inodes_free", fs.inodes_free, {device});
}

void AddIo(const std::vector<cgroup::IoCounters>& devices, Writer& out) {
  for (const cgroup::IoCounters& io : devices) {
    const std::string name = DeviceName(io.major, io.minor);
    const std::string major = std::to_string(io.major), minor = std::to_string(io.minor);
    const char* const device = name.c_str();
    out.Count("container_fs_reads_bytes_total", io.read_bytes, {device});
    out.Count("container_fs_reads_total", io.reads, {device});
    out.Count("container_fs_writes_bytes_total", io.written_bytes, {device});
    out.Count("container_fs_writes_total", io.writes, {device});
    out.Count("container_blkio_device_usage_total", io.read_bytes, {device, major.c_str(), minor.c_str(), "Read"});
    out.Count("container_blkio_device_usage_total", io.written_bytes, {device, major.c_str(), minor.c_str(), "Write"});
  }
}

void AddNetwork(const std::vector<Interface>& interfaces, Writer& out) {
  for (const Interface& i : interfaces) {
    const char* name = i.name.c_str();
    out.Count("container_network_receive_bytes_total", i.rx_bytes, {name});
    out.Count("container_network_receive_packets_total", i.rx_packets, {name});
    out.Count("container_network_receive_errors_total", i.rx_errors, {name});
    out.Count("container_network_receive_packets_dropped_total", i.rx_dropped, {name});
    out.Count("container_network_transmit_bytes_total", i.tx_bytes, {name});
    out.Count("container_network_transmit_packets_total", i.tx_packets, {name});
    out.Count("container_network_transmit_errors_total", i.tx_errors, {name});
    out.Count("container_network_transmit_packets_dropped_total", i.tx_dropped, {name});
  }
}

void AddSpec(const cri::LinuxContainerResources& resources, Writer& out) {
  out.Gauge("container_spec_cpu_period", Positive(resources.cpu_period()));
  out.Gauge("container_spec_cpu_quota", Positive(resources.cpu_quota()));
  out.Gauge("container_spec_cpu_shares", Positive(resources.cpu_shares()));
  out.Gauge("container_spec_memory_limit_bytes", Positive(resources.memory_limit_in_bytes()));
  out.Gauge("container_spec_memory_swap_limit_bytes", Positive(resources.memory_swap_limit_in_bytes()));
}

}  // namespace

std::vector<cri::MetricDescriptor> MetricDescriptors() {
  std::vector<cri::MetricDescriptor> out;
  out.reserve(std::size(kFamilies));
  for (const Family& family : kFamilies) {
    cri::MetricDescriptor& descriptor = out.emplace_back();
    descriptor.set_name(family.name);
    descriptor.set_help(family.help);
    for (const char* label : kBaseLabels) descriptor.add_label_keys(label);
    for (const char* label : family.labels)
      if (label != nullptr) descriptor.add_label_keys(label);
  }
  return out;
}

std::vector<cri::Metric> Metrics(const Measured& m) {
  Writer out(m);
  if (m.stats != nullptr && m.detail != nullptr) {
    AddCpu(*m.stats, *m.detail, out);
    AddMemory(*m.stats, *m.detail, out);
    AddProcesses(m, out);
    AddIo(m.detail->io, out);
    AddHugetlb(m.detail->hugetlb, out);
  }
  AddPressures(m.pressures, out);
  if (m.file_system != nullptr) AddFileSystem(*m.file_system, m.disk, out);
  AddNetwork(m.interfaces, out);
  AddSpec(m.container != nullptr ? m.container->resources() : m.pod->config().linux().resources(), out);
  const int64_t started = m.container != nullptr ? m.container->started_at_ns() : m.pod->created_at_ns();
  out.Gauge("container_start_time_seconds", Seconds(Positive(started)));
  out.Gauge("container_last_seen", Seconds(Positive(m.now_ns)));
  return out.Take();
}

}  // namespace wherry::stats
