#pragma once

#include <string>

#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::bench {

// Tells when a log file has its first byte, by inotify, so that neither polling nor the reader's own delay enters the
// measurement. One serves many pods, one after the other: the kernel takes up to 20 ms to close an inotify descriptor
// (fsnotify_destroy_group waits for a grace period), which must not be measured as part of a start.
class LogWatch {
 public:
  static absl::StatusOr<LogWatch> Make();
  // Watches an existing directory instead of the last one. To be called before the start, since the file appears at some
  // point of it.
  absl::Status Watch(const std::string& dir);
  // Returns when NAME in the watched directory is not empty; DeadlineExceeded after 60 s.
  absl::Status WaitForByte(const std::string& name);

 private:
  explicit LogWatch(sys::UniqueFd fd) : fd_(std::move(fd)) {}
  sys::UniqueFd fd_;
  std::string dir_;
  int watch_ = -1;
};

}  // namespace wherry::bench
