#include <net/if.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/ipam/ipam.h"
#include "cni/netlink/address.h"
#include "cni/netlink/link.h"
#include "cni/netlink/route.h"
#include "cni/netlink/socket.h"
#include "cni/nft/masquerade.h"
#include "cni/plugins/bridge.h"
#include "cni/plugins/bridge_vlan.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/previous.h"
#include "runtime/sys/status.h"

// CHECK of the bridge plugin: everything that ADD reported must still be so. What a later plugin of the chain may have added
// (more routes, more addresses) is not looked at.
namespace wherry::plugins {
namespace {

using netlink::Link;
using netlink::Socket;

absl::Status Wrong(absl::string_view text) {
  return cni::MakeError(cni::ErrorCode::kInternal, absl::StrCat("check: ", text));
}

const cni::Interface* Find(const cni::Result& result, const std::string& name, const std::string& sandbox) {
  auto found = std::find_if(result.interfaces.begin(), result.interfaces.end(), [&](const cni::Interface& interface) {
    return interface.name == name && interface.sandbox == sandbox;
  });
  return found == result.interfaces.end() ? nullptr : &*found;
}

absl::StatusOr<Link> Existing(Socket& socket, const std::string& name, const std::string& kind,
                              const std::string& mac) {
  absl::StatusOr<Link> link = netlink::GetLink(socket, name);
  if (!link.ok() && sys::IsErrno(link.status(), ENODEV)) return Wrong(absl::StrCat("interface ", name, " is missing"));
  RETURN_IF_ERROR(link.status());
  if (link->kind != kind) return Wrong(absl::StrCat("interface ", name, " is not a ", kind));
  if (!mac.empty() && link->mac != mac)
    return Wrong(absl::StrCat("interface ", name, " has MAC address ", link->mac, " in place of ", mac));
  return link;
}

absl::StatusOr<Link> CheckBridge(Socket& host, const BridgeConfig& config, const cni::Result& result) {
  const cni::Interface* expected = Find(result, config.bridge, "");
  if (expected == nullptr) return Wrong(absl::StrCat("prevResult has no interface ", config.bridge));
  ASSIGN_OR_RETURN(Link bridge, Existing(host, config.bridge, "bridge", expected->mac));
  if (((bridge.flags & IFF_PROMISC) != 0) != config.promiscuous)
    return Wrong(absl::StrCat("promiscuous mode of bridge ", config.bridge, " is not as configured"));
  if (config.filters_vlans && !bridge.filters_vlans)
    return Wrong(absl::StrCat("bridge ", config.bridge, " does not filter VLANs"));
  return bridge;
}

// One of the interfaces on the host must be the other end of the container's, and a port of the bridge.
absl::StatusOr<Link> CheckHostEnd(Socket& host, const Link& bridge, const Link& inside, const cni::Result& result) {
  for (const cni::Interface& expected : result.interfaces) {
    if (!expected.sandbox.empty() || expected.name == bridge.name) continue;
    ASSIGN_OR_RETURN(Link link, Existing(host, expected.name, "veth", expected.mac));
    if (link.index == inside.peer && link.peer == inside.index && link.master == bridge.index) return link;
  }
  return Wrong(absl::StrCat("no port of bridge ", bridge.name, " is the other end of the container's ", inside.name));
}

absl::Status CheckAddresses(Socket& container, const Link& inside, const cni::Result& result) {
  ASSIGN_OR_RETURN(std::vector<cni::IpPrefix> present, netlink::GetAddresses(container, inside.index));
  for (const cni::IpConfig& ip : result.ips) {
    const bool ours = !ip.interface || (*ip.interface < result.interfaces.size() &&
                                        result.interfaces[*ip.interface].name == inside.name);
    if (ours && std::find(present.begin(), present.end(), ip.address) == present.end())
      return Wrong(absl::StrCat("interface ", inside.name, " lost the address ", ip.address.ToString()));
  }
  return absl::OkStatus();
}

// By destination and, where one was said, next hop, out of any interface: a later plugin may have moved a route.
absl::Status CheckRoutes(Socket& container, const cni::Result& result) {
  if (result.routes.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<cni::Route> present, netlink::GetRoutes(container));
  for (const cni::Route& expected : result.routes) {
    const auto same = [&](const cni::Route& route) {
      return route.dst.length == expected.dst.length && route.dst.address == expected.dst.Network() &&
             (!expected.gw.valid() || route.gw == expected.gw);
    };
    if (std::none_of(present.begin(), present.end(), same))
      return Wrong(absl::StrCat("the route to ", expected.dst.ToString(), " is missing"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status BridgeCheck(const Call& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  ASSIGN_OR_RETURN(const cni::Result result, PreviousResult(call));
  ASSIGN_OR_RETURN(Namespaces namespaces, Namespaces::Open(call.netns));
  if (!config.ipam_type.empty()) RETURN_IF_ERROR(ipam::Check(IpamRequest(call, config)));
  const cni::Interface* expected = Find(result, call.attachment.ifname, call.netns);
  if (expected == nullptr) return Wrong(absl::StrCat("prevResult has no ", call.attachment.ifname, " in ", call.netns));
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(Socket container, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(Link bridge, CheckBridge(host, config, result));
  ASSIGN_OR_RETURN(Link inside, Existing(container, expected->name, "veth", expected->mac));
  ASSIGN_OR_RETURN(const Link port, CheckHostEnd(host, bridge, inside, result));
  RETURN_IF_ERROR(CheckPortVlans(host, port, config));
  RETURN_IF_ERROR(CheckAddresses(container, inside, result));
  RETURN_IF_ERROR(CheckRoutes(container, result));
  if (!config.ip_masq || config.ipam_type.empty()) return absl::OkStatus();
  return nft::CheckMasquerade(call.network, call.attachment, result.ips.size());
}

}  // namespace wherry::plugins
