#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace wherry::plugins {

// The value without the line's end.
absl::StatusOr<std::string> ReadSysctl(const std::string& name);

// Writes net.* sysctl `name`, a path below /proc/sys/net of the namespace we are in ("ipv4/ip_forward"), unless it has the
// value already: a write may take locks that a read does not, and works even where /proc/sys is read-only and right.
absl::Status EnsureSysctl(const std::string& name, absl::string_view value);

// The same, but OK when there is no such sysctl: a kernel without IPv6.
absl::Status EnsureSysctlIfPresent(const std::string& name, absl::string_view value);

// For an interface of the host, not up yet or without a carrier, that is the containers' IPv6 router. It takes no routes from what
// containers advertise (CVE-2020-10749). And its link-local address, of a MAC address that we chose, is not looked for elsewhere
// (RFC 4862, 5.4): until that is over the kernel solicits no neighbour on behalf of what it forwards, and for up to three seconds
// nobody from outside would reach the container.
absl::Status SetRouterSysctls(const std::string& interface);

}  // namespace wherry::plugins
