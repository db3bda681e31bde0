// Counters of one cgroup, each file read once. memory.stat is by far the dearest of them: reading it makes the kernel sum up
// per-CPU counters of the subtree, so it is read once and all its numbers are taken from that text.

#include "runtime/cgroup/stats.h"

#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/cgroup/names.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {

std::optional<uint64_t> KeyedNumber(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.size() <= key.size() || line[key.size()] != ' ' || line.substr(0, key.size()) != key) continue;
    uint64_t number;
    if (absl::SimpleAtoi(line.substr(key.size() + 1), &number)) return number;
  }
  return std::nullopt;
}

std::optional<uint64_t> ReadNumber(const std::string& dir, const char* file) {
  auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", file), 4096);
  uint64_t number;
  if (!text.ok() || !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &number)) return std::nullopt;
  return number;
}

uint64_t WorkingSet(uint64_t usage, uint64_t inactive_file) {
  return usage > inactive_file ? usage - inactive_file : 0;
}

absl::StatusOr<Stats> ReadV2Stats(const std::string& dir) {
  Stats stats;
  ASSIGN_OR_RETURN_CTX(std::string cpu, sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", kCpuStat)),
                       "cgroup statistics");
  stats.cpu_usage_ns = KeyedNumber(cpu, "usage_usec").value_or(0) * 1000;
  stats.memory_usage = ReadNumber(dir, kMemoryCurrent).value_or(0);
  if (auto memory = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", kMemoryStat)); memory.ok()) {
    stats.memory_working_set = WorkingSet(stats.memory_usage, KeyedNumber(*memory, "inactive_file").value_or(0));
    stats.memory_rss = KeyedNumber(*memory, "anon").value_or(0);
    stats.memory_cache = KeyedNumber(*memory, "file").value_or(0);
    stats.memory_mapped_files = KeyedNumber(*memory, "file_mapped").value_or(0);
    stats.page_faults = KeyedNumber(*memory, "pgfault").value_or(0);
    stats.major_page_faults = KeyedNumber(*memory, "pgmajfault").value_or(0);
  }
  stats.memory_limit = ReadNumber(dir, kMemoryMax);
  stats.swap_usage = ReadNumber(dir, kMemorySwapCurrent);
  stats.swap_limit = ReadNumber(dir, kMemorySwapMax);
  stats.pids = ReadNumber(dir, kPidsCurrent).value_or(0);
  return stats;
}

CpuDetail ReadV2Cpu(const std::string& dir) {
  CpuDetail detail;
  auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", kCpuStat));
  if (!text.ok()) return detail;
  auto nanoseconds = [&](absl::string_view key) -> std::optional<uint64_t> {
    if (auto us = KeyedNumber(*text, key)) return *us * 1000;
    return std::nullopt;
  };
  detail.user_ns = nanoseconds("user_usec");
  detail.system_ns = nanoseconds("system_usec");
  detail.throttled_ns = nanoseconds("throttled_usec");
  detail.periods = KeyedNumber(*text, "nr_periods");
  detail.throttled_periods = KeyedNumber(*text, "nr_throttled");
  return detail;
}

}  // namespace wherry::cgroup
