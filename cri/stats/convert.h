#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "api/cri/v1/api.pb.h"
#include "cri/stats/network.h"
#include "runtime/cgroup/cgroup.h"

// Counters as CRI has them. What is unknown stays unset: zero would be a claim.
namespace wherry::stats {

void FillCpu(const cgroup::Stats& stats, int64_t now_ns, std::optional<uint64_t> rate, ::runtime::v1::CpuUsage& out);
// How long tasks waited, as `psi` of a CpuUsage, MemoryUsage or IoUsage.
void FillPressure(const cgroup::Pressure& pressure, ::runtime::v1::PsiStats& out);
void FillMemory(const cgroup::Stats& stats, int64_t now_ns, ::runtime::v1::MemoryUsage& out);
// Unset fields where the host accounts no swap.
void FillSwap(const cgroup::Stats& stats, int64_t now_ns, ::runtime::v1::SwapUsage& out);
// eth0 is the default interface, as CNI names it.
void FillNetwork(const std::vector<Interface>& interfaces, int64_t now_ns, ::runtime::v1::NetworkUsage& out);

}  // namespace wherry::stats
