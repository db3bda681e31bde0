#include "cri/stats/convert.h"

namespace wherry::stats {
namespace cri = ::runtime::v1;

namespace {

void FillStall(const cgroup::Stall& stall, cri::PsiData& out) {
  out.set_total(stall.total_us);
  out.set_avg10(stall.avg10);
  out.set_avg60(stall.avg60);
  out.set_avg300(stall.avg300);
}

}  // namespace

void FillPressure(const cgroup::Pressure& pressure, cri::PsiStats& out) {
  if (pressure.some) FillStall(*pressure.some, *out.mutable_some());
  if (pressure.full) FillStall(*pressure.full, *out.mutable_full());
}

void FillCpu(const cgroup::Stats& stats, int64_t now_ns, std::optional<uint64_t> rate, cri::CpuUsage& out) {
  out.set_timestamp(now_ns);
  out.mutable_usage_core_nano_seconds()->set_value(stats.cpu_usage_ns);
  if (rate) out.mutable_usage_nano_cores()->set_value(*rate);
}

void FillMemory(const cgroup::Stats& stats, int64_t now_ns, cri::MemoryUsage& out) {
  out.set_timestamp(now_ns);
  out.mutable_working_set_bytes()->set_value(stats.memory_working_set);
  out.mutable_usage_bytes()->set_value(stats.memory_usage);
  out.mutable_rss_bytes()->set_value(stats.memory_rss);
  out.mutable_page_faults()->set_value(stats.page_faults);
  out.mutable_major_page_faults()->set_value(stats.major_page_faults);
  // Without a limit there is nothing that "available" could be measured against.
  if (stats.memory_limit) {
    const uint64_t used = stats.memory_working_set;
    out.mutable_available_bytes()->set_value(*stats.memory_limit > used ? *stats.memory_limit - used : 0);
  }
}

void FillSwap(const cgroup::Stats& stats, int64_t now_ns, cri::SwapUsage& out) {
  out.set_timestamp(now_ns);
  if (!stats.swap_usage) return;
  out.mutable_swap_usage_bytes()->set_value(*stats.swap_usage);
  if (stats.swap_limit)
    out.mutable_swap_available_bytes()->set_value(
        *stats.swap_limit > *stats.swap_usage ? *stats.swap_limit - *stats.swap_usage : 0);
}

void FillNetwork(const std::vector<Interface>& interfaces, int64_t now_ns, cri::NetworkUsage& out) {
  out.set_timestamp(now_ns);
  for (const Interface& i : interfaces) {
    cri::NetworkInterfaceUsage* usage = i.name == "eth0" ? out.mutable_default_interface() : out.add_interfaces();
    usage->set_name(i.name);
    usage->mutable_rx_bytes()->set_value(i.rx_bytes);
    usage->mutable_rx_errors()->set_value(i.rx_errors);
    usage->mutable_tx_bytes()->set_value(i.tx_bytes);
    usage->mutable_tx_errors()->set_value(i.tx_errors);
  }
}

}  // namespace wherry::stats
