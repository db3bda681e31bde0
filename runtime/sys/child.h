#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace wherry::sys {

// Runs programs that may misbehave: each leads a process group of its own, has a bound for what it prints and a deadline
// after which the whole group is killed. Thread-safe; no lock is held while a program runs.
class Children {
 public:
  // Deadlines. Monotonic: a node sets its clock while its first pods start.
  using Clock = std::chrono::steady_clock;

  struct Command {
    std::string program;                   // a path
    std::vector<std::string> arguments{};  // after argv[0], which is the path
    std::vector<std::string> environment{};
    std::string input{};
  };
  struct Ended {
    int status = 0;              // of waitpid(2)
    std::string output, errors;  // at most kMaxOutput + 1 bytes of each, the rest is dropped
  };
  static constexpr size_t kMaxOutput = 1 << 20;

  // Waits for the end of the program. DeadlineExceeded, with the last it wrote to standard error, when it had to be killed;
  // Cancelled when it was because the socket `cancel` hung up. One that does not even die (it hangs in the kernel) is left
  // alone after some seconds and reaped by a later call.
  absl::StatusOr<Ended> Run(const Command& command, Clock::time_point deadline, int cancel = -1);

 private:
  class Child;
  void ReapStuck();

  absl::Mutex mutex_;
  std::vector<pid_t> stuck_ ABSL_GUARDED_BY(mutex_);  // killed, not dead yet
};

// What a program wrote to standard error, as part of an error text: one line, its beginning and its end.
std::string Excerpt(const std::string& text);

}  // namespace wherry::sys
