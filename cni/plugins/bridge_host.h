#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/address.h"
#include "api/cni/config.h"
#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "cni/plugins/bridge_config.h"

// The host's side of the bridge plugin: the bridge itself, its addresses, the veth pair's host end. Many ADDs do this at
// once for the same bridge, without a lock: each step is "create, and be content if somebody else just did".
namespace wherry::plugins {

// The bridge, up, that ignores router advertisements (CVE-2020-10749: a container could otherwise pose as the host's IPv6
// router). Created when it is missing.
absl::StatusOr<netlink::Link> EnsureBridge(netlink::Socket& host, const BridgeConfig& config);

// Gives the bridge the addresses `gateways` and turns forwarding on. An IPv4 address of another kind on the bridge, or an
// IPv6 one of an overlapping network, is replaced with forceAddress and else an error (7).
absl::Status EnsureGateways(netlink::Socket& host, const netlink::Link& bridge,
                            const std::vector<cni::IpPrefix>& gateways, bool force);

struct Veth {
  netlink::Link host;    // the end on the bridge
  netlink::Link bridge;  // read again: a port may have changed its MAC address
  std::string container_mac;
  int container_index() const { return host.peer; }
};
// Makes the pair. The host end's name derives from the attachment. InvalidEnvironment (4) when the container has an
// interface of that name already.
absl::StatusOr<Veth> MakeVeth(netlink::Socket& host, netlink::Socket& container, int netns,
                              const cni::Attachment& attachment, const netlink::Link& bridge,
                              const BridgeConfig& config);

// "veth" and eight hex digits; `attempt` gives another name after a collision.
std::string HostVethName(const cni::Attachment& attachment, unsigned attempt);

}  // namespace wherry::plugins
