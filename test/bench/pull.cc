// Pulls of a large image: how long they take and whether the daemon grows by them. A pull ends when the runtime says so, and the
// image is then unpacked in both runtimes. See bulk_registry.h for why each takes another image.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"
#include "test/bench/bulk_registry.h"
#include "test/bench/pods.h"

namespace wherry::bench {
namespace {

constexpr double kKiBInMiB = 1024;

// A line of /proc/PID/status, in MiB: see proc(5).
absl::StatusOr<double> MemoryLine(int pid, absl::string_view key) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(in, line);) {
    absl::string_view rest = line;
    int64_t kib = 0;
    if (absl::ConsumePrefix(&rest, key) && absl::ConsumeSuffix(&rest, "kB") && absl::SimpleAtoi(rest, &kib))
      return static_cast<double>(kib) / kKiBInMiB;
  }
  return absl::NotFoundError(absl::StrCat("no ", key, " of the daemon, process ", pid));
}

// The peak is counted from here on.
absl::Status ForgetPeak(int pid) { return sys::WriteFileAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/clear_refs"), "5"); }

absl::Status Rounds(Client& client, const Options& options, Report& report) {
  std::vector<double> samples;
  double before = 0, after = 0, peak = 0;
  ASSIGN_OR_RETURN(CpuMeter cpu, CpuMeter::Make(options.cpu_cgroup));
  for (int i = 0; i < kBulkImages; ++i) {
    ::sync();
    if (i == 1) {  // the first one was to warm up
      ASSIGN_OR_RETURN(before, MemoryLine(options.daemon, "VmRSS:"));
      RETURN_IF_ERROR(ForgetPeak(options.daemon));
      ASSIGN_OR_RETURN(cpu, CpuMeter::Make(options.cpu_cgroup));
    }
    Stopwatch watch;
    RETURN_IF_ERROR(client.PullImage(absl::StrCat(options.pull_repository, ":", i)));
    if (i > 0) samples.push_back(watch.Milliseconds() / 1e3);
  }
  ASSIGN_OR_RETURN(const double seconds, cpu.Seconds());
  ASSIGN_OR_RETURN(after, MemoryLine(options.daemon, "VmRSS:"));
  ASSIGN_OR_RETURN(peak, MemoryLine(options.daemon, "VmHWM:"));
  report.AddQuantiles("pull_s", "pull of 300 MB, 20,000 files, 6 layers", "s", samples);
  report.Add("pull_cpu_s", "its CPU", "s", seconds / (kBulkImages - 1));
  report.Add("pull_daemon_before_mib", "daemon's resident memory before pulls", "MiB", before);
  report.Add("pull_daemon_peak_mib", "its peak during them", "MiB", peak);
  report.Add("pull_daemon_after_mib", "after them", "MiB", after);
  for (int i = 0; i < kBulkImages; ++i)
    RETURN_IF_ERROR(client.RemoveImage(absl::StrCat(options.pull_repository, ":", i)));
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasurePull(Client& client, const Options& options, Report& report) {
  if (options.pull_repository.empty() || options.daemon == 0) {
    report.AddUnknown("pull_s", "pull of 300 MB, 20,000 files, 6 layers", "s", "needs --pull-repository and --daemon");
    return absl::OkStatus();
  }
  return Rounds(client, options, report);
}

}  // namespace wherry::bench
