#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Cgroups by one interface over three host layouts: v2 (first class), v1, and the hybrid of both, where v1 hierarchies
// hold the controllers and a v2 tree gives cgroup.kill, cgroup.events and CLONE_INTO_CGROUP.
namespace wherry::cgroup {

struct HugepageLimit {
  std::string page_size;  // "2MB", "1GB", as the kernel's file names spell it
  uint64_t limit = 0;     // bytes
};

// Limits of one cgroup. Unset means: leave as it is. Values are the kernel's v1 units, as CRI uses them; v2 files get
// converted values (cpu.weight from shares; memory.swap.max = swap limit - memory limit).
struct Resources {
  std::optional<uint64_t> cpu_shares;        // 2..262144
  std::optional<int64_t> cpu_quota;          // microseconds per period; -1 = none
  std::optional<uint64_t> cpu_period;        // microseconds, 1000..1000000
  std::optional<int64_t> memory_limit;       // bytes; -1 = none
  std::optional<int64_t> memory_swap_limit;  // bytes of memory plus swap; -1 = none
  std::optional<int64_t> pids_limit;         // -1 = none
  std::string cpuset_cpus;                   // "" = leave
  std::string cpuset_mems;
  std::vector<HugepageLimit> hugepage_limits;
  std::map<std::string, std::string> unified;  // v2 file name → value, verbatim
  // io: device "major:minor" → bytes or operations a second; 0 = none
  struct IoLimit {
    std::string device;
    uint64_t rbps = 0, wbps = 0, riops = 0, wiops = 0;
  };
  std::vector<IoLimit> io_limits;
  std::optional<uint16_t> io_weight;  // 10..1000
};

// A device cgroup rule; the list is an allow list, everything else is denied.
struct DeviceRule {
  char type = 'c';                 // 'c', 'b' or 'a'
  int64_t major = -1, minor = -1;  // -1 = any
  std::string access = "rwm";
};

// Where a process must be put to be in the cgroup: what the shim is told.
struct Membership {
  std::vector<std::string> v1_dirs;  // one absolute directory for each v1 hierarchy
  std::string unified_dir;           // absolute; empty on pure v1
  std::string memory_dir;            // the directory that has the OOM counters
};

struct Stats {
  uint64_t cpu_usage_ns = 0;
  uint64_t memory_usage = 0, memory_working_set = 0, memory_rss = 0, page_faults = 0, major_page_faults = 0;
  uint64_t memory_cache = 0, memory_mapped_files = 0;
  std::optional<uint64_t> memory_limit;
  std::optional<uint64_t> swap_usage, swap_limit;
  uint64_t pids = 0;
};

// What one cgroup read and wrote of one block device.
struct IoCounters {
  unsigned major = 0, minor = 0;
  uint64_t read_bytes = 0, written_bytes = 0, reads = 0, writes = 0;
};

// Huge pages of one size in use by one cgroup; unset where this version of cgroups does not count it.
struct HugetlbUse {
  std::string page_size;  // "2MB", as the kernel's file names spell it
  std::optional<uint64_t> usage, peak;
};

// For how long tasks of a cgroup waited for something (Documentation/accounting/psi.rst): the sum since its beginning, and the share
// of the last 10, 60 and 300 seconds in percent.
struct Stall {
  uint64_t total_us = 0;
  double avg10 = 0, avg60 = 0, avg300 = 0;
};
struct Pressure {
  std::optional<Stall> some, full;  // at least one task waited, all of them did
};
// Unset where the kernel does not measure it.
struct Pressures {
  std::optional<Pressure> cpu, memory, io;
};

// What dashboards want beside Stats, and what costs as much again to read; unset where the kernel does not count it.
struct Detail {
  std::optional<uint64_t> user_ns, system_ns;                        // CPU time
  std::optional<uint64_t> periods, throttled_periods, throttled_ns;  // of the CFS quota
  std::optional<uint64_t> memory_peak, memory_kernel;                // bytes
  std::optional<uint64_t> memory_limit_hits;                         // v1: without those of cgroups below
  std::optional<uint64_t> oom_kills;   // v2: also of cgroups below and gone; v1: only of processes in it
  std::optional<uint64_t> pids_limit;  // 0 = none
  std::vector<IoCounters> io;
  std::vector<HugetlbUse> hugetlb;
};

// Keeps a cgroup without processes from being taken away.
class Hold {
 public:
  virtual ~Hold() = default;
};

// One cgroup driver on one host. Paths are relative to the cgroup root and begin with '/', e.g.
// "/kubepods/burstable/pod1/<id>". Thread-safe; holds no lock across file access.
class Cgroups {
 public:
  virtual ~Cgroups() = default;

  // "v2", "v1" or "hybrid".
  virtual std::string layout() const = 0;
  // Makes the cgroup and missing parents in all hierarchies. OK when it exists.
  virtual absl::Status Create(const std::string& path) = 0;
  // Makes a cgroup that processes are to be put in, with its limits. Where a service manager owns the tree it may disappear at any moment when
  // it is empty: the result is to be kept until a process is in. A null result keeps nothing, and nothing has to be kept.
  virtual absl::StatusOr<std::unique_ptr<Hold>> CreateLeaf(const std::string& path, const Resources& resources);
  // Sets limits; InvalidArgument names the field that the kernel refused and why. Either all are set or none.
  virtual absl::Status Apply(const std::string& path, const Resources& resources) = 0;
  // Default-deny device access: v1 devices controller, or an eBPF program on v2.
  virtual absl::Status AllowDevices(const std::string& path, const std::vector<DeviceRule>& rules) = 0;
  virtual absl::StatusOr<Membership> Members(const std::string& path) = 0;
  // SIGKILLs everything in it and below; returns when the cgroup is empty or `timeout_ms` is over (DeadlineExceeded
  // names a process left and what it waits for). OK when it does not exist.
  virtual absl::Status Kill(const std::string& path, int timeout_ms) = 0;
  // Removes it and everything below from all hierarchies. OK when it does not exist; processes in it are an error.
  virtual absl::Status Remove(const std::string& path) = 0;
  virtual absl::StatusOr<Stats> Read(const std::string& path) = 0;
  virtual Detail ReadDetail(const std::string& path) = 0;
  virtual Pressures ReadPressures(const std::string& path) = 0;
  virtual absl::StatusOr<std::vector<int>> Processes(const std::string& path) = 0;
};

// Detects the layout below `root` (normally /sys/fs/cgroup, as /proc/self/mountinfo shows it).
absl::StatusOr<std::unique_ptr<Cgroups>> OpenCgroupfs(const std::string& root = "/sys/fs/cgroup");

}  // namespace wherry::cgroup
