#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/address.h"
#include "api/cni/result.h"
#include "cni/plugins/call.h"

// prevResult: what the plugins before this one in the chain have done.
namespace wherry::plugins {

// InvalidConfig (7) when there is none: ADD and CHECK of a plugin that works on another's interface need it.
absl::StatusOr<cni::Result> PreviousResult(const Call& call);
// For DEL, which comes without one when ADD has failed or a cache was lost: then an empty result.
absl::StatusOr<cni::Result> PreviousResultIfAny(const Call& call);

// The addresses that are the container's: those of interfaces in a sandbox, and those of which nothing is said.
std::vector<cni::IpPrefix> ContainerAddresses(const cni::Result& result);

// The interface `ifname` in a sandbox, or null.
const cni::Interface* ContainerInterface(const cni::Result& result, const std::string& ifname);

}  // namespace wherry::plugins
