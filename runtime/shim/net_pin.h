#pragma once

#include <string>

#include "absl/status/statusor.h"

// The pod's network namespace: its loopback, and the pin by which CNI plugins find it.
namespace wherry::shim {

// Sets lo of the caller's network namespace up; the kernel then gives it 127.0.0.1 and ::1.
absl::Status BringLoopbackUp();

// Bind-mounts the caller's network namespace on `path`, a new file (0444). AlreadyExists when there is one. On failure
// the file is removed again.
absl::Status PinNetworkNamespace(const std::string& path);

}  // namespace wherry::shim
