#pragma once

#include "absl/status/statusor.h"
#include "api/cni/result.h"
#include "cni/ipam/ipam.h"
#include "cni/plugins/bridge_config.h"
#include "cni/plugins/call.h"

// The bridge plugin's commands; see bridge_add.cc for the way of an ADD.
namespace wherry::plugins {

absl::StatusOr<cni::Result> BridgeAdd(const Call& call);
absl::Status BridgeDel(const Call& call);
absl::Status BridgeCheck(const Call& call);

// The same call as IPAM sees it. `call` must outlive the result.
ipam::Request IpamRequest(const Call& call, const BridgeConfig& config);

}  // namespace wherry::plugins
