#pragma once

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "api/cni/address.h"

// Connection tracking (ctnetlink). A translation is decided by a flow's first packet and kept as long as the flow lives.
// UDP has no end: a client that goes on sending keeps a flow alive that was made before a mapping came, or leads to a
// container that is gone. So such flows are forgotten when mappings change.
namespace wherry::nft {

struct Flows {
  std::vector<std::pair<cni::IpAddress, uint16_t>> host_ports;  // original destination; no address: any
  std::set<cni::IpAddress> containers;                          // that the destination was translated to
};

// Forgets the UDP flows to any of these. Flows that were only masqueraded are outgoing ones and stay. OK on a kernel without
// ctnetlink, where nothing can be done.
absl::Status ForgetUdp(const Flows& flows);

}  // namespace wherry::nft
