#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "cni/netlink/vlan.h"
#include "cni/plugins/bridge_config.h"
#include "cni/plugins/namespace.h"

// The bridge plugin's VLANs: a container's port is in one of them, natively (`vlan`), and in others with tags (`vlanTrunk`).
namespace wherry::plugins {

// What is to become of a port: first `remove`, then `add`, in order.
struct VlanPlan {
  std::vector<netlink::VlanRange> remove, add;
};
// By the reference plugin's rules. Without `vlan` a trunk's native VLAN is 1; unless preserveDefaultVlan is set, the port is in no
// other VLAN than these. Nothing when neither is configured.
VlanPlan PlanPortVlans(const BridgeConfig& config);
void PutPortVlans(netlink::Batch& batch, int port, const VlanPlan& plan);
// An error unless the port is in the VLANs of the plan.
absl::Status CheckPortVlans(netlink::Socket& host, const netlink::Link& port, const BridgeConfig& config);

// "cni0.100"
std::string VlanGatewayName(const BridgeConfig& config);
// The host's own foot in the VLAN, which has the gateway's addresses in place of the bridge: a veth pair whose other end is a
// port of the bridge like a container's. It stays, as the bridge does. InvalidConfig (7) when there is another thing of that name.
absl::StatusOr<netlink::Link> EnsureVlanGateway(netlink::Socket& host, const Namespaces& namespaces,
                                                const netlink::Link& bridge, const BridgeConfig& config);

}  // namespace wherry::plugins
