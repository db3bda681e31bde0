#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "cni/netlink/batch.h"
#include "cni/netlink/socket.h"

// Queueing disciplines (tc(8), RTM_*QDISC). A link can only be shaped where packets leave; what comes in is sent on to an ifb, a
// link that exists to be left.
namespace wherry::netlink {

// A token bucket (tc-tbf(8)).
struct Bucket {
  uint64_t rate = 0;   // bytes a second
  uint32_t burst = 0;  // bytes that may go at once
  bool operator==(const Bucket&) const = default;
};

// Makes `bucket` the root of what the link sends, in place of what was there. Packets wait 25 ms at most.
void PutBucket(Batch& batch, int index, const Bucket& bucket);
// All that the link receives is redirected to link `target` from now on, which sends it. EEXIST when the link has an ingress
// queue already.
void PutIngressRedirect(Batch& batch, int index, int target);
void PutDeleteIngress(Batch& batch, int index);

// The link's root bucket; none when it has another discipline.
absl::StatusOr<std::optional<Bucket>> GetBucket(Socket& socket, int index);

}  // namespace wherry::netlink
