#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "cni/netlink/batch.h"
#include "cni/netlink/socket.h"

// VLANs of bridge ports (linux/if_bridge.h, RTM_SETLINK of family AF_BRIDGE). A bridge that filters VLANs lets a frame out of a
// port only if the port is a member of the frame's VLAN; what comes in without a tag is of the port's native VLAN.
namespace wherry::netlink {

inline constexpr uint16_t kLastVlan = 4094;

// VLANs `first` to `last`, both included.
struct VlanRange {
  uint16_t first = 0, last = 0;
  bool untagged = false;  // frames leave without a tag
  bool native = false;    // frames that come without a tag are of this VLAN (pvid); only for a single one
  bool operator==(const VlanRange&) const = default;
};

// Makes the bridge filter VLANs. Its ports are members of the default VLAN from their joining it, so what is not
// tagged goes on as before.
void PutVlanFiltering(Batch& batch, int bridge);
// Makes the port a member; of a VLAN that it is a member of, sets the flags.
void PutAddPortVlans(Batch& batch, int port, const std::vector<VlanRange>& vlans);
// Those that the port is no member of are passed over.
void PutDeletePortVlans(Batch& batch, int port, const std::vector<VlanRange>& vlans);

// Ascending. Reads the ports of all bridges, since the kernel has no narrower question.
absl::StatusOr<std::vector<VlanRange>> GetPortVlans(Socket& socket, int port);

}  // namespace wherry::netlink
