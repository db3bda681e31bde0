#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "runtime/cgroup/unit.h"

// The few calls to systemd that a cgroup driver needs (org.freedesktop.systemd1(5)). Each returns when it has taken effect. Thread-safe:
// every call has a connection of its own. DeadlineExceeded after 30 s; Unavailable when systemd cannot be reached.
namespace wherry::cgroup {

// StartTransientUnit, and waits for its job. OK when the unit runs already.
absl::Status StartUnit(const std::string& unit, const std::vector<UnitProperty>& properties);

// SetUnitProperties until the unit ends. NotFound when it is not loaded.
absl::Status SetUnitProperties(const std::string& unit, const std::vector<UnitProperty>& properties);

// StopUnit, and waits for its job. OK when it is not loaded.
absl::Status StopUnit(const std::string& unit);

}  // namespace wherry::cgroup
