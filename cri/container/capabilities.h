#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "cri/store/records.pb.h"

// Which capabilities a container has: the usual default set, changed by what the pod adds and drops.
namespace wherry::container {

// Bit n of a set is capability number n. All that this kernel and this process may give away.
uint64_t AvailableCapabilities();

// The sets of a container. "ALL" may be added or dropped; a name dropped beats the same name added. Adding a capability
// that this process lacks is FailedPrecondition; a default one that it lacks is left out.
absl::StatusOr<shim::v1::Capabilities> ContainerCapabilities(const ::runtime::v1::Capability& request, bool privileged,
                                                             uint64_t available);

}  // namespace wherry::container
