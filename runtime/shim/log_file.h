#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

// A container's log file: opened without following what somebody may have put beneath the log directory, appended to,
// reopened after rotation. Writing never fails towards the container: what cannot be written is counted and told.
namespace wherry::shim {

class LogFile {
 public:
  // Makes the directory and the file (0640) when missing. An empty path is no log at all: writes vanish. InvalidArgument
  // for a path that is absolute, has ".." or meets a symlink, or is not a regular file.
  static absl::StatusOr<LogFile> Open(const v1::Log& log);

  // Opens the path anew, after somebody renamed the file. On failure no new file exists and the old one stays in use.
  absl::Status Reopen();

  // Appends whole lines. On ENOSPC, EIO and the like the lines that do not fit are dropped, counted, and announced in a
  // line of their own before the next one that fits.
  void Write(absl::string_view lines);

  uint64_t bytes_dropped() const { return total_dropped_; }

 private:
  absl::StatusOr<sys::UniqueFd> OpenBeneath();
  bool WriteMarker();
  size_t Append(absl::string_view lines);

  std::string directory_;
  std::string path_;
  sys::UniqueFd fd_;
  uint64_t total_dropped_ = 0;
  uint64_t unreported_ = 0;  // bytes dropped since the last marker line
  int error_ = 0;            // why
};

}  // namespace wherry::shim
