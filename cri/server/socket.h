#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// What makes one wherryd the only one on its directories and its socket.
namespace wherry::server {

// Makes the directory (with parents) if need be and takes the lock file "wherryd.lock" in it, which holds until the
// descriptor is closed or the process ends, however it ends. FailedPrecondition names the process that has it.
absl::StatusOr<sys::UniqueFd> LockDirectory(const std::string& directory, mode_t mode);

// Makes the socket's directory if need be and clears the way for bind(2): a socket that nobody listens on, left by a killed
// wherryd, is removed. FailedPrecondition when somebody listens, or when the path is something else than a socket.
absl::Status ClearSocketPath(const std::string& path);

}  // namespace wherry::server
