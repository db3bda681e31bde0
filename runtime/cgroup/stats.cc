// Counters of one cgroup, each file read once. memory.stat is by far the dearest of them: reading it makes the kernel sum up
// per-CPU counters of the subtree, so it is read once and all its numbers are taken from that text.

#include "runtime/cgroup/stats.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
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

namespace {

std::optional<uint64_t> Nanoseconds(absl::string_view text, absl::string_view key) {
  if (auto us = KeyedNumber(text, key)) return *us * 1000;
  return std::nullopt;
}

// The counters of the device that a line begins with ("8:16"), made when they are not there; null when it is none.
IoCounters* OfDevice(absl::string_view device, std::vector<IoCounters>& all) {
  const std::pair<absl::string_view, absl::string_view> numbers = absl::StrSplit(device, absl::MaxSplits(':', 1));
  IoCounters found;
  if (!absl::SimpleAtoi(numbers.first, &found.major) || !absl::SimpleAtoi(numbers.second, &found.minor)) return nullptr;
  for (IoCounters& one : all)
    if (one.major == found.major && one.minor == found.minor) return &one;
  return &all.emplace_back(found);
}

}  // namespace

std::optional<uint64_t> ReadPidsLimit(const std::string& dir) {
  auto text = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", kPidsMax), 4096);
  if (!text.ok()) return std::nullopt;
  uint64_t number;
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &number) ? number : 0;
}

std::vector<HugetlbUse> ReadHugetlb(const std::string& dir) {
  std::vector<HugetlbUse> out;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(dir, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename();
    absl::string_view size = name;
    if (!absl::ConsumePrefix(&size, "hugetlb.")) continue;
    const bool v2 = absl::ConsumeSuffix(&size, ".current");
    // Reserved pages are counted apart (hugetlb.2MB.rsvd.current).
    if ((!v2 && !absl::ConsumeSuffix(&size, ".usage_in_bytes")) || absl::StrContains(size, '.')) continue;
    HugetlbUse& use = out.emplace_back();
    use.page_size = std::string(size);
    use.usage = ReadNumber(dir, name.c_str());
    if (!v2) use.peak = ReadNumber(dir, absl::StrCat("hugetlb.", size, ".max_usage_in_bytes").c_str());
  }
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.page_size < b.page_size; });
  return out;
}

std::vector<IoCounters> ParseIoStat(absl::string_view text) {
  std::vector<IoCounters> out;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    IoCounters* one = fields.size() < 2 ? nullptr : OfDevice(fields[0], out);
    if (one == nullptr) continue;
    const std::pair<absl::string_view, uint64_t*> keys[] = {
        {"rbytes", &one->read_bytes}, {"wbytes", &one->written_bytes}, {"rios", &one->reads}, {"wios", &one->writes}};
    for (absl::string_view field : fields) {
      const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(field, absl::MaxSplits('=', 1));
      for (const auto& [key, number] : keys)
        if (pair.first == key && !absl::SimpleAtoi(pair.second, number)) *number = 0;
    }
  }
  return out;
}

std::vector<IoCounters> ParseBlkio(absl::string_view bytes, absl::string_view operations) {
  std::vector<IoCounters> out;
  for (const bool in_bytes : {true, false}) {
    for (absl::string_view line : absl::StrSplit(in_bytes ? bytes : operations, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
      uint64_t number;
      if (fields.size() != 3 || !absl::SimpleAtoi(fields[2], &number)) continue;
      IoCounters* one = OfDevice(fields[0], out);
      if (one == nullptr) continue;
      if (fields[1] == "Read") (in_bytes ? one->read_bytes : one->reads) = number;
      if (fields[1] == "Write") (in_bytes ? one->written_bytes : one->writes) = number;
    }
  }
  return out;
}

Detail ReadV2Detail(const std::string& dir) {
  Detail detail;
  auto read = [&dir](const char* file) { return sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", file)).value_or(""); };
  const std::string cpu = read(kCpuStat);
  detail.user_ns = Nanoseconds(cpu, "user_usec");
  detail.system_ns = Nanoseconds(cpu, "system_usec");
  detail.throttled_ns = Nanoseconds(cpu, "throttled_usec");
  detail.periods = KeyedNumber(cpu, "nr_periods");
  detail.throttled_periods = KeyedNumber(cpu, "nr_throttled");
  detail.memory_peak = ReadNumber(dir, kMemoryPeak);
  detail.memory_kernel = KeyedNumber(read(kMemoryStat), "kernel");
  const std::string events = read(kMemoryEvents);
  detail.memory_limit_hits = KeyedNumber(events, "max");
  detail.oom_kills = KeyedNumber(events, "oom_kill");
  detail.pids_limit = ReadPidsLimit(dir);
  detail.io = ParseIoStat(read(kIoStat));
  detail.hugetlb = ReadHugetlb(dir);
  return detail;
}

}  // namespace wherry::cgroup
