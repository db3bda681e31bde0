#include <net/if.h>

#include "absl/strings/str_cat.h"
#include "cni/ipam/ipam.h"
#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "cni/nft/mac_spoof.h"
#include "cni/plugins/bridge.h"
#include "cni/plugins/bridge_vlan.h"
#include "cni/plugins/container_side.h"
#include "cni/plugins/masquerade.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/previous.h"
#include "runtime/sys/status.h"

// CHECK of the bridge plugin: everything that ADD reported must still be so. What a later plugin of the chain may have added
// (more routes, more addresses) is not looked at.
namespace wherry::plugins {
namespace {

using netlink::Link;
using netlink::Socket;

absl::StatusOr<Link> CheckBridge(Socket& host, const BridgeConfig& config, const cni::Result& result) {
  const cni::Interface* expected = FindInterface(result, config.bridge, "");
  if (expected == nullptr) return CheckFailed(absl::StrCat("prevResult has no interface ", config.bridge));
  ASSIGN_OR_RETURN(Link bridge, ExistingLink(host, config.bridge, "bridge", expected->mac));
  if (((bridge.flags & IFF_PROMISC) != 0) != config.promiscuous)
    return CheckFailed(absl::StrCat("promiscuous mode of bridge ", config.bridge, " is not as configured"));
  if (config.filters_vlans && !bridge.filters_vlans)
    return CheckFailed(absl::StrCat("bridge ", config.bridge, " does not filter VLANs"));
  return bridge;
}

// One of the interfaces on the host must be the other end of the container's, and a port of the bridge.
absl::StatusOr<Link> CheckHostEnd(Socket& host, const Link& bridge, const Link& inside, const cni::Result& result) {
  for (const cni::Interface& expected : result.interfaces) {
    if (!expected.sandbox.empty() || expected.name == bridge.name) continue;
    ASSIGN_OR_RETURN(Link link, ExistingLink(host, expected.name, "veth", expected.mac));
    if (link.index == inside.peer && link.peer == inside.index && link.master == bridge.index) return link;
  }
  return CheckFailed(
      absl::StrCat("no port of bridge ", bridge.name, " is the other end of the container's ", inside.name));
}

}  // namespace

absl::Status BridgeCheck(const Call& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  ASSIGN_OR_RETURN(const cni::Result result, PreviousResult(call));
  ASSIGN_OR_RETURN(Namespaces namespaces, Namespaces::Open(call.netns));
  if (!config.ipam_type.empty()) RETURN_IF_ERROR(ipam::Check(IpamRequest(call, config)));
  const cni::Interface* expected = FindInterface(result, call.attachment.ifname, call.netns);
  if (expected == nullptr)
    return CheckFailed(absl::StrCat("prevResult has no ", call.attachment.ifname, " in ", call.netns));
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(Socket container, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(Link bridge, CheckBridge(host, config, result));
  ASSIGN_OR_RETURN(Link inside, ExistingLink(container, expected->name, "veth", expected->mac));
  ASSIGN_OR_RETURN(const Link port, CheckHostEnd(host, bridge, inside, result));
  RETURN_IF_ERROR(CheckPortVlans(host, port, config));
  RETURN_IF_ERROR(CheckAddresses(container, inside, result));
  RETURN_IF_ERROR(CheckRoutes(container, result));
  if (config.mac_spoof_check) RETURN_IF_ERROR(nft::CheckMacSpoofCheck(call.attachment));
  if (!config.ip_masq || config.ipam_type.empty()) return absl::OkStatus();
  return CheckMasquerade(config.masquerade, call, result);
}

}  // namespace wherry::plugins
