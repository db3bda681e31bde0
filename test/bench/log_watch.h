#pragma once

#include <string>

#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::bench {

// Tells when a log file in one directory has its first byte, by inotify, so that neither polling nor the reader's own
// delay enters the measurement. Make it before the pod, because the file appears at some point of the start.
class LogWatch {
 public:
  // Watches an existing directory.
  static absl::StatusOr<LogWatch> Make(const std::string& dir);
  // Returns when DIR/NAME is not empty; DeadlineExceeded after 60 s.
  absl::Status WaitForByte(const std::string& name);

 private:
  LogWatch(std::string dir, sys::UniqueFd fd) : dir_(std::move(dir)), fd_(std::move(fd)) {}
  std::string dir_;
  sys::UniqueFd fd_;
};

}  // namespace wherry::bench
