#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/config.h"
#include "api/cni/result.h"
#include "cni/ipam/host_local_config.h"

// host-local: gives out addresses of fixed ranges, with the leases in a directory of this host. The search goes round,
// so that an address given back rests as long as possible. Every function holds the network's lock from start to end.
namespace wherry::ipam {

// One address of every range set. Fails as a whole, leaving no lease: 7 when the attachment has an address already or a
// requested one is in no range, 11 when a set is exhausted or a requested address is taken.
absl::StatusOr<cni::Result> Allocate(const HostLocalConfig& config, const cni::Attachment& attachment);
// Gives back whatever the attachment holds; OK when that is nothing.
absl::Status Release(const HostLocalConfig& config, const cni::Attachment& attachment);
// NotFound code (3) when the attachment holds no address.
absl::Status Check(const HostLocalConfig& config, const cni::Attachment& attachment);
// Gives back everything that none of `valid` holds.
absl::Status Collect(const HostLocalConfig& config, const std::vector<cni::Attachment>& valid);
// 50 when a range set has no address left.
absl::Status Ready(const HostLocalConfig& config);

}  // namespace wherry::ipam
