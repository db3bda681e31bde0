#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Capabilities (capabilities(7)) as numbers, names and sets. A set is a 64-bit mask: bit n = capability number n.
namespace wherry::security {

// The number of "CAP_NET_RAW", "NET_RAW" or "net_raw"; InvalidArgument for no capability.
absl::StatusOr<int> CapabilityNumber(absl::string_view name);

// "CAP_NET_RAW"; "CAP_<n>" for one that this version does not know.
std::string CapabilityName(int number);

// What a container has when nothing is said: the fourteen that all container runtimes give.
uint64_t DefaultCapabilities();

// The caller's permitted set: the most that it can give to others.
absl::StatusOr<uint64_t> PermittedCapabilities();

struct CapabilitySets {
  uint64_t permitted = 0;
  uint64_t effective = 0;
  uint64_t inheritable = 0;
};

// capset(2) on the caller.
absl::Status SetCapabilities(const CapabilitySets& sets);

// Drops from the caller's bounding set all that is not in `keep`. Needs CAP_SETPCAP.
absl::Status LimitBoundingSet(uint64_t keep);

// Empties the ambient set and raises `ambient`, which must be permitted and inheritable already.
absl::Status SetAmbientCapabilities(uint64_t ambient);

}  // namespace wherry::security
