#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/sys/unique_fd.h"

// Reading of CRI log files.
namespace wherry::cli {

// One entry: "TIME STREAM P|F CONTENT\n". An entry tagged P is a piece of a line that goes on in the next entry of its stream.
struct LogEntry {
  absl::string_view time;    // RFC 3339 with nanoseconds
  absl::string_view stream;  // "stdout" or "stderr"
  bool partial = false;
  absl::string_view content;  // without the newline
};

// `line` without its newline. False when it is not an entry.
bool ParseLogEntry(absl::string_view line, LogEntry& entry);

// Where the last `lines` lines (entries tagged F) of the file begin, in bytes.
absl::StatusOr<off_t> TailOffset(int fd, size_t lines);

// Follows one log file through appends and rotations (the kubelet renames the file, then has a new one opened at the path).
class LogFollower {
 public:
  using Sink = std::function<absl::Status(const LogEntry&)>;

  // Opens the file; NotFound when there is none yet. `tail` < 0: all of it.
  static absl::StatusOr<LogFollower> Open(const std::string& path, int tail, Sink sink);

  // Hands on everything that is in the file now, and, after a rotation, in the new one. Only whole entries.
  absl::Status Drain();
  // Becomes readable when the log may have grown or been rotated. ClearEvents() before the next wait.
  int events() const { return inotify_.get(); }
  void ClearEvents();

 private:
  LogFollower() = default;
  absl::Status ReadOn();
  absl::Status HandOn();
  absl::StatusOr<bool> Reopen();

  std::string path_;
  Sink sink_;
  sys::UniqueFd file_, inotify_;
  std::string pending_;  // bytes after the last newline
};

// Writes entries' content to the stream that they came from: stdout to `out`, stderr to `err`. Pieces are joined.
LogFollower::Sink PrintTo(int out, int err, bool timestamps);

}  // namespace wherry::cli
