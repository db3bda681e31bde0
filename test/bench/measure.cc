#include "test/bench/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"

namespace wherry::bench {
namespace {

// The number behind `key` in lines of "key number …".
absl::StatusOr<double> Field(const std::string& path, absl::string_view key, size_t column = 1) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, path, 4 << 20));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    double value = 0;
    if (words.size() > column && words[0] == key && absl::SimpleAtod(words[column], &value)) return value;
  }
  return absl::NotFoundError(absl::StrCat("no \"", key, "\" in \"", path, "\""));
}

// Seconds of all CPUs that were not idle.
absl::StatusOr<double> MachineBusy() {
  double ticks = 0;
  for (size_t column : {1, 2, 3, 6, 7}) {  // user nice system irq softirq; not idle, iowait and steal
    ASSIGN_OR_RETURN(double value, Field("/proc/stat", "cpu", column));
    ticks += value;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

Quantiles QuantilesOf(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  auto at = [&](double q) {
    auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(samples.size())));
    return samples[std::clamp<size_t>(rank, 1, samples.size()) - 1];
  };
  return {at(0.5), at(0.9), at(0.99)};
}

absl::StatusOr<CpuMeter> CpuMeter::Make(const std::string& cgroup) {
  CpuMeter meter;
  meter.cgroup_ = cgroup;
  if (cgroup.empty()) {
    ASSIGN_OR_RETURN(double before, MachineBusy());
    timespec two_seconds = {2, 0};
    nanosleep(&two_seconds, nullptr);
    ASSIGN_OR_RETURN(double after, MachineBusy());
    meter.idle_rate_ = (after - before) / 2;
  }
  ASSIGN_OR_RETURN_CTX(meter.start_, meter.Raw(), "CPU meter");
  meter.age_ = Stopwatch();
  return meter;
}

absl::StatusOr<double> CpuMeter::Raw() const {
  if (cgroup_.empty()) return MachineBusy();
  absl::StatusOr<double> v2 = Field(absl::StrCat(cgroup_, "/cpu.stat"), "usage_usec");
  if (v2.ok()) return *v2 / 1e6;
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, absl::StrCat(cgroup_, "/cpuacct.usage")));
  double nanoseconds = 0;
  if (!absl::SimpleAtod(text, &nanoseconds)) return absl::DataLossError("cpuacct.usage is no number");
  return nanoseconds / 1e9;
}

absl::StatusOr<double> CpuMeter::Seconds() const {
  ASSIGN_OR_RETURN(double now, Raw());
  return now - start_ - idle_rate_ * age_.Milliseconds() / 1e3;
}

absl::StatusOr<Memory> MemoryOf(const std::vector<std::string>& names) {
  std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  if (proc == nullptr) return sys::Errno("opendir \"/proc\"");
  Memory sum;
  while (const dirent* entry = readdir(proc.get())) {  // NOLINT(concurrency-mt-unsafe): this stream is ours alone
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    std::string dir = absl::StrCat("/proc/", entry->d_name);
    // A process may end between the look at the directory and the look into it.
    absl::StatusOr<std::string> comm = sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/comm"));
    if (!comm.ok()) continue;
    bool wanted = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return absl::StartsWith(*comm, name.substr(0, 15));  // the kernel keeps 15 bytes
    });
    if (!wanted) continue;
    absl::StatusOr<double> kib = Field(absl::StrCat(dir, "/smaps_rollup"), "Pss:");
    if (!kib.ok()) continue;
    ++sum.processes;
    sum.pss_bytes += *kib * 1024;
  }
  return sum;
}

absl::StatusOr<int> MountCount() {
  ASSIGN_OR_RETURN(std::string table, sys::ReadFileAt(AT_FDCWD, "/proc/self/mountinfo", 16 << 20));
  return static_cast<int>(std::count(table.begin(), table.end(), '\n'));
}

}  // namespace wherry::bench
