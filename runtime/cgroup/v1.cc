// The legacy layout: one tree for each controller, or for several of them, and on hybrid hosts a v2 tree beside them that has
// few controllers or none, but cgroup.kill, cgroup.events and CLONE_INTO_CGROUP. All that v1 needs is in this file, so that it
// can go when v1 goes. What makes v1 harder than v2:
//  - a new cpuset is empty and takes no process until its cpus and mems are copied down from the parent;
//  - the limit on memory may never exceed that on memory plus swap, so that the order of the two writes depends on
//    whether they grow or shrink;
//  - quota and period are two files, and the ratio of the two is checked against the parent's after each write;
//  - without the v2 tree nothing kills a cgroup as a whole: processes are frozen, so that they cannot fork, signalled,
//    and thawed to die. v1's freezer has no event for "frozen", so it is not waited for; a child that slips through is
//    found in the next round.

#include "runtime/cgroup/v1.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/cgroup/controllers.h"
#include "runtime/cgroup/device_filter.h"
#include "runtime/cgroup/kill.h"
#include "runtime/cgroup/limits.h"
#include "runtime/cgroup/names.h"
#include "runtime/cgroup/pressure.h"
#include "runtime/cgroup/settings.h"
#include "runtime/cgroup/stats.h"
#include "runtime/cgroup/tree.h"
#include "runtime/cgroup/v2_limits.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr char kMemoryLimit[] = "memory.limit_in_bytes";
constexpr char kMemoryUsage[] = "memory.usage_in_bytes";
constexpr char kMemswLimit[] = "memory.memsw.limit_in_bytes";
constexpr char kMemswUsage[] = "memory.memsw.usage_in_bytes";
constexpr char kCpuShares[] = "cpu.shares";
constexpr char kCfsQuota[] = "cpu.cfs_quota_us";
constexpr char kCfsPeriod[] = "cpu.cfs_period_us";
constexpr char kCpuUsage[] = "cpuacct.usage";
constexpr char kCpuacctStat[] = "cpuacct.stat";
constexpr char kFreezerState[] = "freezer.state";
constexpr char kDevicesAllow[] = "devices.allow";
constexpr char kDevicesDeny[] = "devices.deny";
// An unlimited v1 memory limit reads as the largest number of pages; anything near it is "none".
constexpr uint64_t kUnlimited = 1ULL << 62;
// How long a kill by events may take before a frozen cgroup is suspected.
constexpr int kFrozenSuspicionMs = 100;
constexpr int kKillRoundMs = 1000;

using Settings = std::vector<Setting>;

std::string ExplainMemory(const Setting& s, int err) {
  const bool swap = s.file == kMemswLimit;
  if (err == EBUSY)
    return absl::StrCat("the cgroup uses ", ReadNumber(s.dir, swap ? kMemswUsage : kMemoryUsage).value_or(0),
                        " bytes, which the kernel could not bring below the limit");
  if (err == EINVAL && !swap)
    return absl::StrCat("the limit of memory plus swap is ", ReadNumber(s.dir, kMemswLimit).value_or(0),
                        " bytes; memory_swap_limit must grow with memory_limit");
  return "";
}

std::string ExplainCpu(const Setting& s, int err) {
  if (err != EINVAL) return "";
  auto quota = sys::ReadFileAt(AT_FDCWD, absl::StrCat(ParentOf(s.dir), "/", kCfsQuota), 64);
  if (!quota.ok() || absl::StartsWith(*quota, "-1")) return "";
  return absl::StrCat("the parent cgroup has only ", absl::StripAsciiWhitespace(*quota), " of ",
                      ReadNumber(ParentOf(s.dir), kCfsPeriod).value_or(0), " microseconds");
}

std::string ExplainCpuset(const Setting& s, int err) {
  auto parent = sys::ReadFileAt(AT_FDCWD, absl::StrCat(ParentOf(s.dir), "/", s.file), 4096);
  if (err == EBUSY) return "a cgroup below it, or an exclusive one beside it, uses CPUs that this would change";
  if (!parent.ok()) return "";
  return absl::StrCat("the parent cgroup has ", absl::StripAsciiWhitespace(*parent));
}

Setting Make(const std::string& dir, const char* file, std::string value, const char* field, std::string shown) {
  return Setting{.dir = dir, .file = file, .value = std::move(value), .field = field, .shown = std::move(shown)};
}

// Memory before memory plus swap when they shrink, after it when they grow beyond the old sum.
absl::Status AddMemory(const std::string& dir, const Resources& r, Settings& out) {
  const int64_t memory = r.memory_limit.value_or(0);
  int64_t swap = r.memory_swap_limit.value_or(0);
  if (memory == -1 && swap == 0) swap = -1;  // no limit on memory means none on the sum
  auto make = [&](const char* file, int64_t value, const char* field) {
    out.push_back(Make(dir, file, absl::StrCat(value), field, absl::StrCat(value)));
    out.back().explain = ExplainMemory;
  };
  const auto sum_now = ReadNumber(dir, kMemswLimit);
  if (!sum_now && swap > 0 && swap != memory)
    return Refuse("memory_swap_limit", absl::StrCat(swap), "this kernel does not account swap (swapaccount=1)");
  const bool sum_first = memory == -1 || (sum_now && memory > 0 && static_cast<uint64_t>(memory) > *sum_now);
  if (swap != 0 && sum_now && sum_first) make(kMemswLimit, swap, "memory_swap_limit");
  if (memory != 0) make(kMemoryLimit, memory, "memory_limit");
  if (swap != 0 && sum_now && !sum_first) make(kMemswLimit, swap, "memory_swap_limit");
  return absl::OkStatus();
}

// Of the two orders, the one whose intermediate ratio is below the larger of the old and the new one, which the parent allows.
void AddCpu(const std::string& dir, const Resources& r, Settings& out) {
  if (uint64_t shares = r.cpu_shares.value_or(0))
    out.push_back(Make(dir, kCpuShares, absl::StrCat(shares), "cpu_shares", absl::StrCat(shares)));
  const uint64_t period = r.cpu_period.value_or(0);
  Settings writes;
  if (period != 0) writes.push_back(Make(dir, kCfsPeriod, absl::StrCat(period), "cpu_period", absl::StrCat(period)));
  if (r.cpu_quota) {
    const int64_t quota = *r.cpu_quota == 0 ? -1 : *r.cpu_quota;
    writes.push_back(Make(dir, kCfsQuota, absl::StrCat(quota), "cpu_quota", absl::StrCat(*r.cpu_quota)));
    if (period < ReadNumber(dir, kCfsPeriod).value_or(0) || quota == -1) std::reverse(writes.begin(), writes.end());
  }
  for (Setting& setting : writes) {
    setting.explain = ExplainCpu;
    out.push_back(std::move(setting));
  }
}

void AddCpuset(const std::string& dir, const Resources& r, Settings& out) {
  if (!r.cpuset_cpus.empty()) out.push_back(Make(dir, kCpusetCpus, r.cpuset_cpus, "cpuset_cpus", r.cpuset_cpus));
  if (!r.cpuset_mems.empty()) out.push_back(Make(dir, kCpusetMems, r.cpuset_mems, "cpuset_mems", r.cpuset_mems));
  for (Setting& setting : out) {
    if (absl::StartsWith(setting.file, "cpuset.")) setting.explain = ExplainCpuset;
  }
}

void AddHugetlb(const std::string& dir, const Resources& r, Settings& out) {
  for (Setting& setting : V2HugetlbSettings(dir, r)) {
    absl::string_view file = setting.file;
    absl::ConsumeSuffix(&file, "max");
    setting.file = absl::StrCat(file, "limit_in_bytes");
    out.push_back(std::move(setting));
  }
}

void AddBlkio(const std::string& dir, const Resources& r, Settings& out) {
  for (const auto& io : r.io_limits) {
    const std::pair<const char*, uint64_t> limits[] = {{"blkio.throttle.read_bps_device", io.rbps},
                                                       {"blkio.throttle.write_bps_device", io.wbps},
                                                       {"blkio.throttle.read_iops_device", io.riops},
                                                       {"blkio.throttle.write_iops_device", io.wiops}};
    for (const auto& [file, limit] : limits) {
      Setting setting = Make(dir, file, absl::StrCat(io.device, " ", limit), "io_limits", io.device);
      setting.keyed = true, setting.reset = "0";
      out.push_back(std::move(setting));
    }
  }
  if (!r.io_weight) return;
  const bool bfq = ::access(absl::StrCat(dir, "/blkio.bfq.weight").c_str(), F_OK) == 0;
  out.push_back(Make(dir, bfq ? "blkio.bfq.weight" : "blkio.weight", absl::StrCat(*r.io_weight), "io_weight",
                     absl::StrCat(*r.io_weight)));
}

// What v1 does anyway may be asked for in v2's words.
bool IsV1Behaviour(const std::string& file, const std::string& value) {
  static constexpr std::pair<absl::string_view, absl::string_view> kDefaults[] = {
      {"memory.oom.group", "0"}, {"memory.min", "0"}, {"memory.low", "0"}, {"memory.high", "max"}};
  for (const auto& [name, normal] : kDefaults) {
    if (file == name && absl::StripAsciiWhitespace(value) == normal) return true;
  }
  return false;
}

// v1 counts a kill in the victim's own cgroup alone, and the count goes with it. What has no processes of its own, such as a pod, would
// always show none.
std::optional<uint64_t> OomKills(const std::string& dir) {
  auto processes = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", kProcs));
  auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/memory.oom_control"));
  if (!processes.ok() || processes->empty() || !text.ok()) return std::nullopt;
  return KeyedNumber(*text, "oom_kill");
}

bool ThawTree(const std::string& dir) {
  auto dirs = Subtree(dir);
  if (!dirs.ok()) return false;
  for (const std::string& at : *dirs)
    sys::WriteFileAt(AT_FDCWD, absl::StrCat(at, "/", kFreezerState), "THAWED").IgnoreError();
  return true;
}

class V1 : public Cgroups {
 public:
  explicit V1(Layout layout) : layout_(std::move(layout)) {}

  std::string layout() const override { return layout_.Name(); }

  absl::Status Create(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    std::vector<std::string> made;
    absl::Status status;
    for (const std::string& mount : Mounts()) {
      status = MakeDirs(mount, path, made);
      if (!status.ok()) break;
    }
    if (status.ok()) status = FillCpuset(path);
    if (status.ok()) return status;
    for (auto it = made.rbegin(); it != made.rend(); ++it) ::rmdir(it->c_str());
    return sys::Annotate(status, absl::StrCat("create cgroup \"", path, "\""));
  }

  absl::Status Apply(const std::string& path, const Resources& r) override {
    RETURN_IF_ERROR(CheckPath(path));
    RETURN_IF_ERROR(CheckResources(r));
    ASSIGN_OR_RETURN(Settings settings, Plan(path, r));
    for (const Setting& setting : settings) {
      if (!setting.dir.empty()) continue;
      if (setting.optional) continue;
      return Refuse(setting.field, setting.shown, absl::StrCat("no cgroup hierarchy of this host has ", setting.file));
    }
    std::erase_if(settings, [](const Setting& setting) { return setting.dir.empty(); });
    return WriteAllOrNone(settings);
  }

  absl::Status AllowDevices(const std::string& path, const std::vector<DeviceRule>& rules) override {
    RETURN_IF_ERROR(CheckPath(path));
    RETURN_IF_ERROR(CheckDeviceRules(rules));
    const std::string dir = Dir("devices", path);
    if (dir.empty()) return absl::FailedPreconditionError("this host has no devices cgroup");
    WHERRY_FAIL_POINT("cgroup.devices");
    RETURN_IF_ERROR(sys::WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/", kDevicesDeny), "a"));
    WHERRY_FAIL_POINT("cgroup.no_devices");
    ASSIGN_OR_RETURN(sys::UniqueFd allow, sys::OpenAt(AT_FDCWD, absl::StrCat(dir, "/", kDevicesAllow), O_WRONLY));
    for (const DeviceRule& rule : rules) RETURN_IF_ERROR(AllowDevice(allow.get(), rule));
    return absl::OkStatus();
  }

  absl::StatusOr<Membership> Members(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    Membership out;
    for (const V1Hierarchy& hierarchy : layout_.v1) out.v1_dirs.push_back(Join(hierarchy.mount, path));
    if (!layout_.unified.empty()) out.unified_dir = Join(layout_.unified, path);
    out.memory_dir = Dir("memory", path);
    if (out.memory_dir.empty()) out.memory_dir = out.unified_dir;
    return out;
  }

  absl::Status Kill(const std::string& path, int timeout_ms) override {
    RETURN_IF_ERROR(CheckBelowRoot(path));
    WHERRY_FAIL_POINT("cgroup.kill");
    const Deadline deadline(timeout_ms);
    if (!layout_.unified.empty()) RETURN_IF_ERROR(KillByUnified(Join(layout_.unified, path), path, deadline));
    // Processes that never were in the v2 tree, or all of them on pure v1.
    return KillByFreezer(path, deadline);
  }

  absl::Status Remove(const std::string& path) override {
    RETURN_IF_ERROR(CheckBelowRoot(path));
    // The v2 tree last in Mounts() is taken first: it has an event for "empty", after which the others are empty too.
    const std::vector<std::string> mounts = Mounts();
    absl::Status first;
    for (auto it = mounts.rbegin(); it != mounts.rend(); ++it) {
      absl::Status status = RemoveTree(Join(*it, path));
      // A process in it is in all of them: the rest would only wait as long again.
      if (status.code() == absl::StatusCode::kFailedPrecondition) return status;
      if (first.ok()) first = status;
    }
    return first;
  }

  absl::StatusOr<Stats> Read(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    return ReadStats(path);
  }

  Detail ReadDetail(const std::string& path) override {
    Detail detail;
    if (auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(Dir("cpuacct", path), "/", kCpuacctStat)); text.ok()) {
      const uint64_t ns_per_tick = 1000000000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
      if (auto ticks = KeyedNumber(*text, "user")) detail.user_ns = *ticks * ns_per_tick;
      if (auto ticks = KeyedNumber(*text, "system")) detail.system_ns = *ticks * ns_per_tick;
    }
    if (auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(Dir("cpu", path), "/", kCpuStat)); text.ok()) {
      detail.periods = KeyedNumber(*text, "nr_periods");
      detail.throttled_periods = KeyedNumber(*text, "nr_throttled");
      detail.throttled_ns = KeyedNumber(*text, "throttled_time");
    }
    const std::string memory = Dir("memory", path), blkio = Dir("blkio", path);
    detail.memory_peak = ReadNumber(memory, "memory.max_usage_in_bytes");
    detail.memory_kernel = ReadNumber(memory, "memory.kmem.usage_in_bytes");
    detail.memory_limit_hits = ReadNumber(memory, "memory.failcnt");
    detail.oom_kills = OomKills(memory);
    detail.pids_limit = ReadPidsLimit(Dir("pids", path));
    auto io = [&blkio](const char* file) {
      return sys::ReadFileAt(AT_FDCWD, absl::StrCat(blkio, "/", file)).value_or("");
    };
    detail.io = ParseBlkio(io("blkio.throttle.io_service_bytes_recursive"), io("blkio.throttle.io_serviced_recursive"));
    const std::string hugetlb = Dir("hugetlb", path);
    if (hugetlb.empty() && !layout_.unified.empty()) detail.hugetlb = ReadHugetlb(Join(layout_.unified, path));
    if (!hugetlb.empty()) detail.hugetlb = ReadHugetlb(hugetlb);
    return detail;
  }

  // v1 does not measure pressure, but containers are in the v2 tree of a hybrid host as well.
  Pressures ReadPressures(const std::string& path) override {
    if (layout_.unified.empty()) return {};
    return ReadPressuresOf(Join(layout_.unified, path));
  }

  absl::StatusOr<std::vector<int>> Processes(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    return ProcessesBelow(PrimaryDir(path));
  }

 private:
  static std::string Join(const std::string& mount, const std::string& path) {
    return path == "/" ? mount : mount + path;
  }

  std::vector<std::string> Mounts() const {
    std::vector<std::string> out;
    for (const V1Hierarchy& hierarchy : layout_.v1) out.push_back(hierarchy.mount);
    if (!layout_.unified.empty()) out.push_back(layout_.unified);
    return out;
  }

  // The mount point of the v1 hierarchy with this controller; "" when it is not on v1.
  std::string Mount(absl::string_view controller) const {
    for (const V1Hierarchy& hierarchy : layout_.v1) {
      for (const std::string& name : hierarchy.controllers) {
        if (name == controller) return hierarchy.mount;
      }
    }
    return "";
  }

  std::string Dir(absl::string_view controller, const std::string& path) const {
    const std::string mount = Mount(controller);
    return mount.empty() ? "" : Join(mount, path);
  }

  // The hierarchy whose list of processes is taken for all.
  std::string PrimaryDir(const std::string& path) const {
    const std::string memory = Dir("memory", path);
    return memory.empty() ? Join(layout_.v1.front().mount, path) : memory;
  }

  // Copies cpus and mems down from the nearest cgroup that has them.
  absl::Status FillCpuset(const std::string& path) const {
    const std::string mount = Mount("cpuset");
    if (mount.empty() || path == "/" || path.empty()) return absl::OkStatus();
    for (const char* file : {kCpusetCpus, kCpusetMems}) RETURN_IF_ERROR(FillCpusetFile(mount, path, file));
    return absl::OkStatus();
  }

  absl::Status FillCpusetFile(const std::string& mount, const std::string& path, const char* file) const {
    ASSIGN_OR_RETURN(std::string own, sys::ReadFileAt(AT_FDCWD, absl::StrCat(mount, path, "/", file)));
    if (!absl::StripAsciiWhitespace(own).empty()) return absl::OkStatus();
    const std::string parent = ParentOf(path);
    if (!parent.empty()) RETURN_IF_ERROR(FillCpusetFile(mount, parent, file));
    ASSIGN_OR_RETURN(std::string above, sys::ReadFileAt(AT_FDCWD, absl::StrCat(mount, parent, "/", file)));
    return sys::WriteFileAt(AT_FDCWD, absl::StrCat(mount, path, "/", file), above);
  }

  // Settings whose hierarchy does not exist here have no directory.
  absl::StatusOr<Settings> Plan(const std::string& path, const Resources& r) const {
    Settings out;
    RETURN_IF_ERROR(AddMemory(Dir("memory", path), r, out));
    AddCpu(Dir("cpu", path), r, out);
    AddCpuset(Dir("cpuset", path), r, out);
    if (int64_t pids = r.pids_limit.value_or(0))
      out.push_back(Make(Dir("pids", path), kPidsMax, MaxText(pids), "pids_limit", absl::StrCat(pids)));
    RETURN_IF_ERROR(PlanHugetlb(path, r, out));
    AddBlkio(Dir("blkio", path), r, out);
    for (const auto& [file, value] : r.unified) {
      if (IsV1Behaviour(file, value)) continue;
      // The one file that is the same on v1, and CRI's only way to ask for this limit.
      if (const std::string pids = Dir("pids", path); file == kPidsMax && !pids.empty()) {
        out.push_back(UnifiedSetting(pids, file, value));
        continue;
      }
      const std::string controller = file.substr(0, file.find('.'));
      if (layout_.unified.empty() || !Mount(controller == "io" ? "blkio" : controller).empty())
        return Refuse(absl::StrCat("unified[\"", file, "\"]"), value,
                      absl::StrCat("this host has the controller ", controller, " on cgroup v1"));
      RETURN_IF_ERROR(EnableControllers(layout_.unified, path, {controller}));
      out.push_back(UnifiedSetting(Join(layout_.unified, path), file, value));
    }
    return out;
  }

  absl::Status PlanHugetlb(const std::string& path, const Resources& r, Settings& out) const {
    if (r.hugepage_limits.empty()) return absl::OkStatus();
    const std::string v1 = Dir("hugetlb", path);
    if (!v1.empty() || layout_.unified.empty()) {
      AddHugetlb(v1, r, out);
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(EnableControllers(layout_.unified, path, {"hugetlb"}));
    for (Setting& setting : V2HugetlbSettings(Join(layout_.unified, path), r)) out.push_back(std::move(setting));
    return absl::OkStatus();
  }

  // The kernel takes a rule of type 'a' for "everything", whatever numbers follow, so it becomes two rules.
  static absl::Status AllowDevice(int fd, const DeviceRule& rule) {
    auto number = [](int64_t n) { return n < 0 ? std::string("*") : absl::StrCat(n); };
    for (char type : {'c', 'b'}) {
      if (rule.type != 'a' && rule.type != type) continue;
      const std::string text =
          absl::StrCat(std::string(1, type), " ", number(rule.major), ":", number(rule.minor), " ", rule.access);
      ssize_t n;
      do n = ::pwrite(fd, text.data(), text.size(), 0);
      while (n < 0 && errno == EINTR);
      if (n != static_cast<ssize_t>(text.size())) return sys::Errno(absl::StrCat("allow the device \"", text, "\""));
    }
    return absl::OkStatus();
  }

  absl::Status KillByUnified(const std::string& dir, const std::string& path, const Deadline& deadline) const {
    RETURN_IF_ERROR(KillUnified(dir));
    absl::Status status = WaitUntilEmpty(dir, Deadline(std::min(deadline.LeftMs(), kFrozenSuspicionMs)));
    if (status.code() != absl::StatusCode::kDeadlineExceeded) return status;
    // A task frozen by v1's freezer does not die before it is thawed.
    if (const std::string freezer = Dir("freezer", path); !freezer.empty()) ThawTree(freezer);
    return WaitUntilEmpty(dir, deadline);
  }

  absl::Status KillByFreezer(const std::string& path, const Deadline& deadline) const {
    const std::string primary = PrimaryDir(path), freezer = Dir("freezer", path);
    while (true) {
      ASSIGN_OR_RETURN(std::vector<int> pids, ProcessesBelow(primary));
      if (pids.empty()) return absl::OkStatus();
      if (!freezer.empty())
        sys::WriteFileAt(AT_FDCWD, absl::StrCat(freezer, "/", kFreezerState), "FROZEN").IgnoreError();
      absl::Status killed = SignalAll(primary);
      if (!freezer.empty()) ThawTree(freezer);
      RETURN_IF_ERROR(killed);
      absl::Status empty = WaitUntilEmpty(primary, Deadline(std::min(deadline.LeftMs(), kKillRoundMs)));
      if (empty.code() != absl::StatusCode::kDeadlineExceeded || deadline.LeftMs() == 0) return empty;
    }
  }

  absl::StatusOr<Stats> ReadStats(const std::string& path) const {
    Stats stats;
    const std::string memory = Dir("memory", path);
    if (::access(PrimaryDir(path).c_str(), F_OK) != 0)
      return sys::Errno(absl::StrCat("cgroup statistics of \"", PrimaryDir(path), "\""));
    stats.cpu_usage_ns = ReadNumber(Dir("cpuacct", path), kCpuUsage).value_or(0);
    stats.pids = ReadNumber(Dir("pids", path), kPidsCurrent).value_or(0);
    stats.memory_usage = ReadNumber(memory, kMemoryUsage).value_or(0);
    auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(memory, "/", kMemoryStat));
    if (!text.ok()) return stats;
    stats.memory_working_set = WorkingSet(stats.memory_usage, KeyedNumber(*text, "total_inactive_file").value_or(0));
    stats.memory_rss = KeyedNumber(*text, "total_rss").value_or(0);
    stats.memory_cache = KeyedNumber(*text, "total_cache").value_or(0);
    stats.memory_mapped_files = KeyedNumber(*text, "total_mapped_file").value_or(0);
    stats.page_faults = KeyedNumber(*text, "total_pgfault").value_or(0);
    stats.major_page_faults = KeyedNumber(*text, "total_pgmajfault").value_or(0);
    stats.swap_usage = KeyedNumber(*text, "total_swap");
    // Each file costs as much as all the rest together: without a limit here or above there is none of its own to read.
    if (KeyedNumber(*text, "hierarchical_memory_limit").value_or(0) >= kUnlimited) return stats;
    if (auto limit = ReadNumber(memory, kMemoryLimit); limit && *limit < kUnlimited) stats.memory_limit = *limit;
    if (auto sum = ReadNumber(memory, kMemswLimit); sum && *sum < kUnlimited && stats.memory_limit)
      stats.swap_limit = *sum - std::min(*sum, *stats.memory_limit);
    return stats;
  }

  const Layout layout_;
};

}  // namespace

std::unique_ptr<Cgroups> MakeV1(Layout layout) { return std::make_unique<V1>(std::move(layout)); }

}  // namespace wherry::cgroup
