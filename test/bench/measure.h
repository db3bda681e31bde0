#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "runtime/sys/status.h"

// What is measured besides time: CPU, memory of helper processes, mounts.
namespace wherry::bench {

class Stopwatch {
 public:
  double Milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Quantiles {
  double median = 0, p90 = 0, p99 = 0;
};
// Nearest rank; of an empty sample all are 0.
Quantiles QuantilesOf(std::vector<double> samples);

// CPU time that the runtime and all that it started have used. With `cgroup`, a directory that holds cpuacct.usage (v1)
// or cpu.stat (v2), it is that cgroup's, with its children's: exact, also on a busy machine, but without what the
// kernel does later in threads of its own. Without, it is the whole machine's busy time less what the machine used in
// two idle seconds before.
class CpuMeter {
 public:
  static absl::StatusOr<CpuMeter> Make(const std::string& cgroup);
  // Seconds since Make.
  absl::StatusOr<double> Seconds() const;
  bool WholeMachine() const { return cgroup_.empty(); }

 private:
  absl::StatusOr<double> Raw() const;

  std::string cgroup_;
  double start_ = 0;
  double idle_rate_ = 0;  // CPU seconds a second
  Stopwatch age_;
};

// Sum of the proportional set sizes of all processes whose program name (as in ps) starts with one of `names`.
struct Memory {
  int processes = 0;
  double pss_bytes = 0;
};
absl::StatusOr<Memory> MemoryOf(const std::vector<std::string>& names);

// Lines in this process's mount table, which is the host's as long as the bench runs in the runtime's mount namespace.
absl::StatusOr<int> MountCount();

}  // namespace wherry::bench
