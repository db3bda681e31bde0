#pragma once

// The kernel's names of cgroup files: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/*.rst.
namespace wherry::cgroup {

// v2
inline constexpr char kControllers[] = "cgroup.controllers";
inline constexpr char kSubtreeControl[] = "cgroup.subtree_control";
inline constexpr char kProcs[] = "cgroup.procs";  // v1 too
inline constexpr char kEvents[] = "cgroup.events";
inline constexpr char kKill[] = "cgroup.kill";  // since 5.14
inline constexpr char kCpuMax[] = "cpu.max";
inline constexpr char kCpuWeight[] = "cpu.weight";
inline constexpr char kCpuStat[] = "cpu.stat";
inline constexpr char kMemoryMax[] = "memory.max";
inline constexpr char kMemoryCurrent[] = "memory.current";
inline constexpr char kMemorySwapMax[] = "memory.swap.max";
inline constexpr char kMemorySwapCurrent[] = "memory.swap.current";
inline constexpr char kMemoryPeak[] = "memory.peak";  // since 5.19
inline constexpr char kMemoryEvents[] = "memory.events";
inline constexpr char kMemoryStat[] = "memory.stat";    // v1 too
inline constexpr char kPidsMax[] = "pids.max";          // v1 too
inline constexpr char kPidsCurrent[] = "pids.current";  // v1 too
inline constexpr char kCpusetCpus[] = "cpuset.cpus";    // v1 too
inline constexpr char kCpusetMems[] = "cpuset.mems";    // v1 too
inline constexpr char kIoStat[] = "io.stat";
inline constexpr char kCpuPressure[] = "cpu.pressure";  // the three only where the kernel has PSI
inline constexpr char kMemoryPressure[] = "memory.pressure";
inline constexpr char kIoPressure[] = "io.pressure";
inline constexpr char kIoMax[] = "io.max";
inline constexpr char kIoWeight[] = "io.weight";
inline constexpr char kIoBfqWeight[] = "io.bfq.weight";

}  // namespace wherry::cgroup
