// Absurd limits are found before the first write, for two reasons: a refusal can then name the field as the caller
// wrote it instead of a kernel file, and v2 takes without complaint what v1 refuses (memory.max of one byte kills
// everything in the cgroup at once; cpuset.cpus outside the parent's is silently ignored).

#include "runtime/cgroup/limits.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr int64_t kPage = 4096;
constexpr uint64_t kMinPeriod = 1000, kMaxPeriod = 1000000;  // microseconds: kernel/sched/core.c
constexpr int64_t kMinQuota = 1000;
constexpr int64_t kMaxQuota = std::numeric_limits<int64_t>::max() / 1000;  // the kernel counts nanoseconds
constexpr uint64_t kMinShares = 2, kMaxShares = 262144;
constexpr int64_t kMaxPids = 4194304;  // PID_MAX_LIMIT
constexpr uint32_t kMaxListed = 65536;

absl::Status CheckCpu(const Resources& r) {
  if (uint64_t shares = r.cpu_shares.value_or(0); shares != 0 && (shares < kMinShares || shares > kMaxShares))
    return Refuse("cpu_shares", absl::StrCat(shares), "must be 2 to 262144");
  if (uint64_t period = r.cpu_period.value_or(0); period != 0 && (period < kMinPeriod || period > kMaxPeriod))
    return Refuse("cpu_period", absl::StrCat(period), "must be 1000 to 1000000 microseconds");
  int64_t quota = r.cpu_quota.value_or(-1);
  if (quota != 0 && quota != -1 && (quota < kMinQuota || quota > kMaxQuota))
    return Refuse("cpu_quota", absl::StrCat(quota), "must be at least 1000 microseconds, or -1 for none");
  return absl::OkStatus();
}

absl::Status CheckMemory(const Resources& r) {
  int64_t memory = r.memory_limit.value_or(0), swap = r.memory_swap_limit.value_or(0);
  if (memory < -1 || (memory > 0 && memory < kPage))
    return Refuse("memory_limit", absl::StrCat(memory), "must be at least one page, or -1 for none");
  if (swap < -1 || (swap > 0 && swap < kPage))
    return Refuse("memory_swap_limit", absl::StrCat(swap), "must be at least one page, or -1 for none");
  if (swap > 0 && memory > swap)
    return Refuse("memory_swap_limit", absl::StrCat(swap),
                  absl::StrCat("counts memory plus swap, so it cannot be below memory_limit ", memory));
  if (swap > 0 && memory == -1) return Refuse("memory_swap_limit", absl::StrCat(swap), "needs a memory_limit");
  return absl::OkStatus();
}

absl::Status CheckCpusets(const Resources& r) {
  if (auto cpus = ParseList(r.cpuset_cpus); !r.cpuset_cpus.empty() && !cpus.ok())
    return Refuse("cpuset_cpus", r.cpuset_cpus, cpus.status().message());
  if (auto mems = ParseList(r.cpuset_mems); !r.cpuset_mems.empty() && !mems.ok())
    return Refuse("cpuset_mems", r.cpuset_mems, mems.status().message());
  return absl::OkStatus();
}

bool IsPageSize(absl::string_view size) {
  if (!absl::ConsumeSuffix(&size, "KB") && !absl::ConsumeSuffix(&size, "MB") && !absl::ConsumeSuffix(&size, "GB"))
    return false;
  return !size.empty() && size.size() <= 6 && std::all_of(size.begin(), size.end(), ::isdigit);
}

bool IsDeviceNumber(absl::string_view device) {
  std::vector<absl::string_view> parts = absl::StrSplit(device, ':');
  uint32_t number;
  return parts.size() == 2 && absl::SimpleAtoi(parts[0], &number) && absl::SimpleAtoi(parts[1], &number);
}

absl::Status CheckIo(const Resources& r) {
  for (const auto& io : r.io_limits) {
    if (!IsDeviceNumber(io.device)) return Refuse("io_limits", io.device, "a device is written as MAJOR:MINOR");
  }
  if (r.io_weight && (*r.io_weight < 10 || *r.io_weight > 1000))
    return Refuse("io_weight", absl::StrCat(*r.io_weight), "must be 10 to 1000");
  return absl::OkStatus();
}

// Only settings of a controller may be written: cgroup.procs, cgroup.kill and their kind move or kill processes, and a name
// with a slash would be a file of another cgroup (CVE-2023-6476 let pods pass such names by a prefix match).
absl::Status CheckUnified(const Resources& r) {
  static constexpr absl::string_view kAllowed[] = {"cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma"};
  for (const auto& [name, value] : r.unified) {
    const std::string field = absl::StrCat("unified[\"", name, "\"]");
    auto plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || isupper(c) || c == '.' || c == '_';
    };
    if (!std::all_of(name.begin(), name.end(), plain)) return Refuse(field, value, "is not the name of a cgroup file");
    std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(name, absl::MaxSplits('.', 1));
    if (parts.second.empty() || std::find(std::begin(kAllowed), std::end(kAllowed), parts.first) == std::end(kAllowed))
      return Refuse(field, value,
                    "only files of the controllers cpu, cpuset, hugetlb, io, memory, misc, pids and rdma may be set");
    if (value.empty() || value.size() > 4096 || value.find('\0') != std::string::npos)
      return Refuse(field, value, "the value must have 1 to 4096 bytes");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Refuse(absl::string_view field, absl::string_view value, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(field, " ", value.empty() ? "\"\"" : value, ": ", reason));
}

absl::Status CheckResources(const Resources& r) {
  RETURN_IF_ERROR(CheckMemory(r));
  RETURN_IF_ERROR(CheckCpu(r));
  RETURN_IF_ERROR(CheckCpusets(r));
  if (int64_t pids = r.pids_limit.value_or(0); pids < -1 || pids > kMaxPids)
    return Refuse("pids_limit", absl::StrCat(pids), absl::StrCat("must be 1 to ", kMaxPids, ", or -1 for none"));
  for (const auto& huge : r.hugepage_limits) {
    if (!IsPageSize(huge.page_size))
      return Refuse("hugepage_limits", huge.page_size, "a page size is written as 64KB, 2MB or 1GB");
  }
  RETURN_IF_ERROR(CheckIo(r));
  return CheckUnified(r);
}

uint64_t CpuWeight(uint64_t shares) {
  if (shares <= kMinShares) return 1;
  if (shares >= kMaxShares) return 10000;
  const double l = std::log2(static_cast<double>(shares));
  return static_cast<uint64_t>(std::ceil(std::pow(10.0, (l * l + 125 * l) / 612.0 - 7.0 / 34.0)));
}

uint64_t IoWeight(uint16_t weight) {
  const uint64_t clamped = std::clamp<uint64_t>(weight, 10, 1000);
  return 1 + (clamped - 10) * 9999 / 990;
}

std::string MaxText(int64_t limit) { return limit == -1 ? "max" : absl::StrCat(limit); }

absl::StatusOr<std::string> SwapMax(int64_t memory_swap_limit, int64_t memory_limit) {
  if (memory_swap_limit == -1) return "max";
  if (memory_limit == -1) return Refuse("memory_swap_limit", absl::StrCat(memory_swap_limit), "needs a memory limit");
  if (memory_swap_limit < memory_limit)
    return Refuse("memory_swap_limit", absl::StrCat(memory_swap_limit),
                  absl::StrCat("counts memory plus swap, so it cannot be below the memory limit ", memory_limit));
  return absl::StrCat(memory_swap_limit - memory_limit);
}

absl::StatusOr<std::vector<int>> ParseList(absl::string_view text) {
  std::vector<int> out;
  for (absl::string_view part : absl::StrSplit(absl::StripAsciiWhitespace(text), ',', absl::SkipEmpty())) {
    std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    uint32_t first, last;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last) ||
        last < first || last >= kMaxListed)
      return absl::InvalidArgumentError(absl::StrCat("\"", part, "\" is not a number or range such as 0-3"));
    for (uint32_t n = first; n <= last; ++n) out.push_back(static_cast<int>(n));
    if (out.size() > kMaxListed) return absl::InvalidArgumentError("the list is too long");
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool Includes(const std::vector<int>& whole, const std::vector<int>& part) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

}  // namespace wherry::cgroup
