#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// The shim's socket: always a path (0600 in a 0700 directory), never an abstract name, which every process of the
// network namespace could reach (CVE-2020-15257).
namespace wherry::shim {

// Binds and listens. A socket left there by a shim that is gone is replaced.
absl::StatusOr<sys::UniqueFd> ListenAt(const std::string& path);

// Connects, non-blocking from then on. NotFound when nobody listens there.
absl::StatusOr<sys::UniqueFd> ConnectTo(const std::string& path);

}  // namespace wherry::shim
