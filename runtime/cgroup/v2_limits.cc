// Limits as v2 files. v2 takes some values silently that do harm, so what v1's kernel code refused is looked at here first:
// memory.max below what processes hold kills them at once (v1: EBUSY), and cpuset.cpus outside the parent's is taken and
// ignored (v1: EACCES). Memory is written before CPU, as the kubelet's resize does.

#include "runtime/cgroup/v2_limits.h"

#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/cgroup/limits.h"
#include "runtime/cgroup/names.h"
#include "runtime/cgroup/stats.h"
#include "runtime/cgroup/tree.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

using Settings = std::vector<Setting>;

Setting Make(const std::string& dir, const char* file, std::string value, const char* field, std::string shown) {
  return Setting{.dir = dir, .file = file, .value = std::move(value), .field = field, .shown = std::move(shown)};
}

// The memory limit in force; -1 when there is none.
int64_t CurrentMemoryMax(const std::string& dir) {
  auto now = ReadNumber(dir, kMemoryMax);
  return now ? static_cast<int64_t>(*now) : -1;
}

absl::Status CheckMemoryFits(const std::string& dir, int64_t limit) {
  auto stat = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", kMemoryStat));
  if (!stat.ok()) return absl::OkStatus();
  const uint64_t anon = KeyedNumber(*stat, "anon").value_or(0);
  if (limit < 0 || anon <= static_cast<uint64_t>(limit)) return absl::OkStatus();
  return Refuse("memory_limit", absl::StrCat(limit),
                absl::StrCat("its processes hold ", anon, " bytes now and would be killed"));
}

absl::Status AddMemory(const std::string& dir, const Resources& r, Settings& out) {
  const int64_t memory = r.memory_limit.value_or(0), swap = r.memory_swap_limit.value_or(0);
  if (memory != 0) {
    RETURN_IF_ERROR(CheckMemoryFits(dir, memory));
    out.push_back(Make(dir, kMemoryMax, MaxText(memory), "memory_limit", absl::StrCat(memory)));
  }
  if (swap != 0) {
    ASSIGN_OR_RETURN(std::string value, SwapMax(swap, memory != 0 ? memory : CurrentMemoryMax(dir)));
    Setting setting = Make(dir, kMemorySwapMax, value, "memory_swap_limit", absl::StrCat(swap));
    // A kernel without swap accounting has no file; no swap, and all swap, are what it then gives anyway.
    setting.optional = value == "0" || value == "max";
    out.push_back(std::move(setting));
  }
  for (const auto& [file, value] : r.unified) {
    if (absl::StartsWith(file, "memory.")) out.push_back(UnifiedSetting(dir, file, value));
  }
  return absl::OkStatus();
}

// cpu.max holds quota and period in one line; what is not given is kept.
void AddCpu(const std::string& dir, const Resources& r, Settings& out) {
  if (uint64_t shares = r.cpu_shares.value_or(0))
    out.push_back(Make(dir, kCpuWeight, absl::StrCat(CpuWeight(shares)), "cpu_shares", absl::StrCat(shares)));
  const uint64_t period = r.cpu_period.value_or(0);
  if (!r.cpu_quota && period == 0) return;
  std::string quota = "max", old_period = "100000";
  if (auto now = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", kCpuMax)); now.ok()) {
    std::vector<std::string> parts = absl::StrSplit(absl::StripAsciiWhitespace(*now), ' ');
    if (parts.size() == 2) quota = parts[0], old_period = parts[1];
  }
  if (r.cpu_quota) quota = *r.cpu_quota <= 0 ? "max" : absl::StrCat(*r.cpu_quota);
  std::string value = absl::StrCat(quota, " ", period ? absl::StrCat(period) : old_period);
  const char* field = r.cpu_quota ? "cpu_quota" : "cpu_period";
  out.push_back(Make(dir, kCpuMax, value, field, r.cpu_quota ? absl::StrCat(*r.cpu_quota) : absl::StrCat(period)));
}

// v2 takes any list and uses what the parent has of it, so a list outside of the parent's is refused here.
absl::Status AddCpuset(const std::string& dir, const char* file, const std::string& list, Settings& out) {
  if (list.empty()) return absl::OkStatus();
  const char* field = absl::string_view(file) == kCpusetCpus ? "cpuset_cpus" : "cpuset_mems";
  auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(ParentOf(dir), "/", file, ".effective"));
  if (text.ok()) {
    ASSIGN_OR_RETURN(std::vector<int> whole, ParseList(*text));
    ASSIGN_OR_RETURN(std::vector<int> part, ParseList(list));
    if (!Includes(whole, part))
      return Refuse(field, list, absl::StrCat("the parent cgroup has only ", absl::StripAsciiWhitespace(*text)));
  }
  out.push_back(Make(dir, file, list, field, list));
  return absl::OkStatus();
}

std::string IoLimitText(const Resources::IoLimit& io) {
  auto text = [](uint64_t n) { return n == 0 ? std::string("max") : absl::StrCat(n); };
  return absl::StrCat(io.device, " rbps=", text(io.rbps), " wbps=", text(io.wbps), " riops=", text(io.riops),
                      " wiops=", text(io.wiops));
}

// The text that takes a key out of a keyed file; "" when `file` is not keyed.
std::string KeyReset(absl::string_view file) {
  if (file == kIoMax) return "rbps=max wbps=max riops=max wiops=max";
  if (file == "io.latency") return "target=0";
  if (file == kIoWeight || file == kIoBfqWeight) return "default";
  if (file == "misc.max") return "max";
  if (file == "rdma.max") return "hca_handle=max hca_object=max";
  return "";
}

void AddIo(const std::string& dir, const Resources& r, Settings& out) {
  for (const auto& io : r.io_limits) {
    Setting setting = Make(dir, kIoMax, IoLimitText(io), "io_limits", io.device);
    setting.keyed = true, setting.reset = KeyReset(kIoMax);
    out.push_back(std::move(setting));
  }
  if (!r.io_weight) return;
  // BFQ has a file of its own with v1's range; io.weight belongs to the iocost controller.
  const bool bfq = ::access(absl::StrCat(dir, "/", kIoBfqWeight).c_str(), F_OK) == 0;
  const uint64_t weight = bfq ? *r.io_weight : IoWeight(*r.io_weight);
  Setting setting = Make(dir, bfq ? kIoBfqWeight : kIoWeight, absl::StrCat("default ", weight), "io_weight",
                         absl::StrCat(*r.io_weight));
  setting.keyed = true, setting.reset = "100";
  out.push_back(std::move(setting));
}

}  // namespace

Setting UnifiedSetting(const std::string& dir, const std::string& file, const std::string& value) {
  Setting setting{
      .dir = dir, .file = file, .value = value, .field = absl::StrCat("unified[\"", file, "\"]"), .shown = value};
  setting.reset = KeyReset(file);
  setting.keyed = !setting.reset.empty();
  return setting;
}

Settings V2HugetlbSettings(const std::string& dir, const Resources& r) {
  Settings out;
  for (const auto& huge : r.hugepage_limits) {
    // .max counts pages in use, .rsvd.max (Linux 5.7) pages that mmap reserved: without it a reservation over the
    // limit ends later in SIGBUS instead of now in ENOMEM.
    for (const char* kind : {".max", ".rsvd.max"}) {
      Setting setting{.dir = dir,
                      .file = absl::StrCat("hugetlb.", huge.page_size, kind),
                      .value = absl::StrCat(huge.limit),
                      .field = absl::StrCat("hugepage_limits[", huge.page_size, "]"),
                      .shown = absl::StrCat(huge.limit)};
      setting.optional = huge.limit == 0 || absl::string_view(kind) == ".rsvd.max";
      setting.explain = [](const Setting&, int err) {
        return std::string(err == ENOENT ? "this host has no huge pages of that size, or no hugetlb controller" : "");
      };
      out.push_back(std::move(setting));
    }
  }
  return out;
}

absl::StatusOr<Settings> V2Settings(const std::string& dir, const Resources& r) {
  Settings out;
  RETURN_IF_ERROR(AddMemory(dir, r, out));
  AddCpu(dir, r, out);
  RETURN_IF_ERROR(AddCpuset(dir, kCpusetCpus, r.cpuset_cpus, out));
  RETURN_IF_ERROR(AddCpuset(dir, kCpusetMems, r.cpuset_mems, out));
  if (int64_t pids = r.pids_limit.value_or(0))
    out.push_back(Make(dir, kPidsMax, MaxText(pids), "pids_limit", absl::StrCat(pids)));
  for (Setting& setting : V2HugetlbSettings(dir, r)) out.push_back(std::move(setting));
  AddIo(dir, r, out);
  for (const auto& [file, value] : r.unified) {
    if (!absl::StartsWith(file, "memory.")) out.push_back(UnifiedSetting(dir, file, value));
  }
  return out;
}

}  // namespace wherry::cgroup
