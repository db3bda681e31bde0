#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/shim/v1/shim.pb.h"
#include "cri/store/records.pb.h"

// Which capabilities a container has: the usual default set, changed by what the pod adds and drops.
namespace wherry::container {

// Bit n of a set is capability number n (capability.h). 0..63; all that this kernel and this process may give away.
uint64_t AvailableCapabilities();

// The number of "NET_ADMIN" or "CAP_NET_ADMIN", any case; InvalidArgument for anything else.
absl::StatusOr<int> ParseCapability(absl::string_view name);

// The sets of a container. "ALL" may be added or dropped; a name dropped beats the same name added. Adding a capability
// that this process lacks is FailedPrecondition; a default one that it lacks is left out.
absl::StatusOr<shim::v1::Capabilities> ContainerCapabilities(const ::runtime::v1::Capability& request, bool privileged,
                                                             uint64_t available);

}  // namespace wherry::container
