#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::image {

// The descriptors that wherry-pull is started with.
inline constexpr int kControlFd = 3;  // stream socket to wherryd
inline constexpr int kArchiveFd =
    4;  // the archive, read-only; in a pull the socket to its fetching half; of an export the pipe
inline constexpr int kStagingFd = 5;  // a directory of its own; of a check and an export the store
inline constexpr int kLockFd = 6;     // kept open: its flock(2) tells the next wherryd that this process still lives

// One running wherry-pull. The destructor kills it.
class PullProcess {
 public:
  struct Files {
    int archive;  // -1 for a pull and a check; the pipe to write to for an export
    int staging;  // for a check and an export the store's own directory
    int lock;
    const char* verb = nullptr;  // "check", "export"; null: by `archive`, "import" or "pull"
  };
  // Imports what is in `files.archive`; without one, or with another verb, awaits a request.
  static absl::StatusOr<PullProcess> Start(const std::string& program, const Files& files);
  PullProcess(PullProcess&&) = default;
  PullProcess& operator=(PullProcess&&) = delete;
  ~PullProcess();

  int control() const { return control_.get(); }
  // Waits for its end; an error says how it ended, unless it exited with 0.
  absl::Status Wait();

 private:
  PullProcess(sys::UniqueFd pidfd, sys::UniqueFd control) : pidfd_(std::move(pidfd)), control_(std::move(control)) {}
  sys::UniqueFd pidfd_;
  sys::UniqueFd control_;
};

}  // namespace wherry::image
