#pragma once

#include <functional>
#include <thread>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// A session works with descriptors that do not block. What the shell gave us must not be made such: O_NONBLOCK would hold for every
// program that has the terminal, and a file cannot be polled. So a thread and a pipe stand between them.
namespace wherry::cli {

// The end of a pipe, not blocking, that gives what standard input gives. The thread is not waited for: it may read for ever.
// `on_detach`, if there is one, is called by it, once, for the keys ctrl-p ctrl-q, which are not passed on.
absl::StatusOr<sys::UniqueFd> PumpStdin(std::function<void()> on_detach);

// A pipe whose end `in` takes what is to be written to a descriptor of this process.
class OutputPump {
 public:
  explicit OutputPump(int to) : to_(to) {}
  OutputPump(const OutputPump&) = delete;
  OutputPump& operator=(const OutputPump&) = delete;
  ~OutputPump();  // all has been written that was given; the pipe's end must have been closed

  // The end to write to, not blocking. When writing fails it breaks (EPIPE).
  absl::StatusOr<sys::UniqueFd> Start();

 private:
  const int to_;
  std::thread thread_;
};

}  // namespace wherry::cli
