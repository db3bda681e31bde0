// Log throughput: a container writes lines of 100 bytes as fast as the runtime takes them off its pipe. The lines come
// from a file that the container copies with sendfile(2), so that the writer costs next to nothing and the runtime is
// what is measured.
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/sys/file.h"
#include "test/bench/pods.h"

namespace wherry::bench {
namespace {

constexpr int kFileMegabytes = 50;
constexpr double kGB = 1e9;

absl::Status WriteLines(const std::string& path) {
  std::string lines;
  for (int i = 0; i < 10'000; ++i) {
    std::string line = absl::StrCat("line ", i, " ");
    lines += line + std::string(99 - line.size(), 'x') + "\n";
  }
  ASSIGN_OR_RETURN(sys::UniqueFd fd, sys::OpenAt(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  for (int i = 0; i < kFileMegabytes; ++i) RETURN_IF_ERROR(sys::WriteAll(fd.get(), lines));
  return absl::OkStatus();
}

absl::Status WaitForEnd(Client& client, const Pod& pod) {
  while (true) {
    ASSIGN_OR_RETURN(std::optional<int> code, client.ExitCode(pod.container));
    if (code.has_value() && *code != 0) return absl::InternalError(absl::StrCat("the writer ended with code ", *code));
    if (code.has_value()) return absl::OkStatus();
    timespec pause = {0, 5'000'000};  // CRI has no call that waits; 5 ms of some seconds
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

absl::Status MeasureLogs(Client& client, const Options& options, Report& report) {
  const std::string data_dir = absl::StrCat(options.log_root, "/data");
  if (mkdir(data_dir.c_str(), 0755) != 0) return sys::Errno(absl::StrCat("mkdir \"", data_dir, "\""));
  RETURN_IF_ERROR(WriteLines(absl::StrCat(data_dir, "/lines")));
  const int copies = std::max(1, options.log_megabytes / kFileMegabytes);
  const double bytes = 1e6 * kFileMegabytes * copies;

  Pods pods(client, options);
  ASSIGN_OR_RETURN(CpuMeter cpu, CpuMeter::Make(options.cpu_cgroup));
  Stopwatch watch;
  ASSIGN_OR_RETURN(
      Pod pod,
      pods.StartCommand(
          "logs",
          {"/bin/sh", "-c", absl::StrCat("i=0; while [ $i -lt ", copies, " ]; do cat /data/lines; i=$((i+1)); done")},
          data_dir));
  RETURN_IF_ERROR(WaitForEnd(client, pod));
  double seconds = watch.Milliseconds() / 1e3;
  ASSIGN_OR_RETURN(double cpu_seconds, cpu.Seconds());

  struct stat info = {};
  const std::string log = absl::StrCat(pod.spec.log_dir, "/0.log");
  if (stat(log.c_str(), &info) != 0) return sys::Errno(absl::StrCat("stat \"", log, "\""));
  if (static_cast<double>(info.st_size) < bytes) {
    return absl::DataLossError(absl::StrCat("the container wrote ", bytes, " bytes, its log has ", info.st_size));
  }
  report.Add("log_mb_per_s", "container log", "MB/s", bytes / 1e6 / seconds);
  report.Add("log_cpu_s_per_gb", "container log: CPU for 1 GB", "s", cpu_seconds * kGB / bytes);
  return pods.Remove(pod);
}

}  // namespace wherry::bench
