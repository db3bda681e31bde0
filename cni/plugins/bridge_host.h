#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/address.h"
#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "cni/plugins/bridge_config.h"

// The host's side of the bridge plugin: the bridge itself and its addresses. Many ADDs do this at
// once for the same bridge, without a lock: each step is "create, and be content if somebody else just did".
namespace wherry::plugins {

// The bridge, up, that ignores router advertisements (CVE-2020-10749: a container could otherwise pose as the host's IPv6
// router). Created when it is missing.
absl::StatusOr<netlink::Link> EnsureBridge(netlink::Socket& host, const BridgeConfig& config);

// Gives the bridge the addresses `gateways` and turns forwarding on. An IPv4 address of another kind on the bridge, or an
// IPv6 one of an overlapping network, is replaced with forceAddress and else an error (7).
absl::Status EnsureGateways(netlink::Socket& host, const netlink::Link& bridge,
                            const std::vector<cni::IpPrefix>& gateways, bool force);

}  // namespace wherry::plugins
