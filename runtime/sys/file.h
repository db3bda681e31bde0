#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

// Whole-file reads and writes relative to a directory descriptor. Every read has a bound, because much of what is
// read was written by somebody else.
namespace wherry::sys {

// openat(2) with O_CLOEXEC added. `dirfd` may be AT_FDCWD.
absl::StatusOr<UniqueFd> OpenAt(int dirfd, const std::string& path, int flags, mode_t mode = 0);

// All of `fd` from its offset on; ResourceExhausted when it holds more than `max` bytes.
absl::StatusOr<std::string> ReadAll(int fd, size_t max);

// The regular or pseudo file `path`, at most `max` bytes.
absl::StatusOr<std::string> ReadFileAt(int dirfd, const std::string& path, size_t max = 1 << 20);

// write(2) until all is written; EINTR is retried, a short write goes on.
absl::Status WriteAll(int fd, absl::string_view data);

// Opens an existing file write-only and writes `data` in one write(2), as procfs, sysfs and cgroupfs want it.
absl::Status WriteFileAt(int dirfd, const std::string& path, absl::string_view data);

// Replaces `path` atomically and durably: temporary file in the same directory, fsync, rename, fsync of the directory.
absl::Status ReplaceFileAt(int dirfd, const std::string& path, absl::string_view data, mode_t mode);

}  // namespace wherry::sys
