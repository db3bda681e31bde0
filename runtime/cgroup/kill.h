#pragma once

#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Ending all processes of a cgroup, and waiting until they are gone.
namespace wherry::cgroup {

// A point on CLOCK_MONOTONIC.
class Deadline {
 public:
  explicit Deadline(int timeout_ms);
  // Milliseconds left, rounded up; 0 when it has passed.
  int LeftMs() const;

 private:
  timespec at_{};
};

// Waits until no process is left in `dir` (of any hierarchy) and below. DeadlineExceeded names a process left. OK when
// `dir` does not exist.
absl::Status WaitUntilEmpty(const std::string& dir, const Deadline& deadline);

// Kills everything in and below `dir` of the v2 hierarchy by cgroup.kill (Linux 5.14). Does not wait. OK when it does not exist.
absl::Status KillUnified(const std::string& dir);

// SIGKILLs every process that is in `dir` now, through pidfds. Does not wait.
absl::Status SignalAll(const std::string& dir);

// "process 7 (sleep), state D, waiting in folio_wait_bit" for error texts.
std::string DescribeProcess(int pid);

}  // namespace wherry::cgroup
