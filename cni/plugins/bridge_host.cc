#include "cni/plugins/bridge_host.h"

#include <net/if.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/netlink/address.h"
#include "cni/plugins/sysctl.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

using netlink::Batch;
using netlink::Link;
using netlink::Socket;

absl::StatusOr<Link> CreateBridge(Socket& host, const BridgeConfig& config) {
  Batch batch;
  Link link;
  std::vector<absl::Status> each;
  netlink::PutNewBridge(batch, config.bridge, netlink::RandomMac(), config.mtu, config.filters_vlans);
  netlink::PutGetLink(batch, config.bridge);
  RETURN_IF_ERROR(host.Exchange(
      batch, [&](size_t, const nlmsghdr* message) { link = netlink::ParseLink(message); }, &each));
  if (!each[0].ok() && !sys::IsErrno(each[0], EEXIST)) return each[0];  // EEXIST: a parallel ADD was quicker
  RETURN_IF_ERROR(each[1]);
  if (each[0].ok()) RETURN_IF_ERROR(SetRouterSysctls(link.name));
  return link;
}

bool InTheWay(const cni::IpPrefix& present, const cni::IpPrefix& wanted) {
  if (present.address.size() != wanted.address.size()) return false;
  return wanted.address.is_v4() || present.Contains(wanted.address) || wanted.Contains(present.address);
}

absl::Status MakeRoom(const Link& bridge, const std::vector<cni::IpPrefix>& present, const cni::IpPrefix& wanted,
                      bool force, Batch* batch) {
  for (const cni::IpPrefix& address : present) {
    if (!InTheWay(address, wanted)) continue;
    if (!force)
      return cni::MakeError(cni::ErrorCode::kInvalidConfig,
                            absl::StrCat("interface ", bridge.name, " has the address ", address.ToString(), ", not ",
                                         wanted.ToString(), "; forceAddress would replace it"));
    netlink::PutDeleteAddress(*batch, bridge.index, address);
  }
  return absl::OkStatus();
}

// Up, and as configured.
absl::Status MakeReady(Socket& host, const Link& bridge, const BridgeConfig& config) {
  const uint32_t wanted = IFF_UP | (config.promiscuous ? IFF_PROMISC : 0);
  Batch batch;
  // Without filtering, VLANs of ports mean nothing, and the containers would reach each other after all.
  if (config.filters_vlans && !bridge.filters_vlans) netlink::PutVlanFiltering(batch, bridge.index);
  if ((bridge.flags & wanted) != wanted) netlink::PutLinkFlags(batch, bridge.index, wanted);
  if (!batch.empty()) RETURN_IF_ERROR(host.Exchange(batch));
  if (bridge.accept_ra.value_or(0) == 0) return absl::OkStatus();
  return EnsureSysctl(absl::StrCat("ipv6/conf/", bridge.name, "/accept_ra"), "0");
}

}  // namespace

absl::StatusOr<Link> EnsureBridge(Socket& host, const BridgeConfig& config) {
  absl::StatusOr<Link> link = netlink::GetLink(host, config.bridge);
  if (!link.ok() && sys::IsErrno(link.status(), ENODEV)) link = CreateBridge(host, config);
  if (link.ok() && link->kind != "bridge")
    return cni::MakeError(cni::ErrorCode::kInvalidConfig,
                          absl::StrCat("interface ", config.bridge, " exists and is not a bridge"));
  const absl::Status status = link.ok() ? MakeReady(host, *link, config) : link.status();
  if (config.filters_vlans && sys::IsErrno(status, EOPNOTSUPP))
    return sys::Annotate(status, "this kernel's bridges do not filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING)");
  RETURN_IF_ERROR(status);
  return link;
}

absl::Status EnsureGateways(Socket& host, const Link& bridge, const std::vector<cni::IpPrefix>& gateways, bool force) {
  ASSIGN_OR_RETURN(std::vector<cni::IpPrefix> present, netlink::GetAddresses(host, bridge.index));
  Batch batch;
  std::vector<absl::Status> each;
  for (const cni::IpPrefix& gateway : gateways) {
    if (std::find(present.begin(), present.end(), gateway) != present.end()) continue;
    RETURN_IF_ERROR(MakeRoom(bridge, present, gateway, force, &batch));
    netlink::PutNewAddress(batch, bridge.index, gateway, /*detect_duplicates=*/false);
    present.push_back(gateway);
  }
  if (!batch.empty()) {
    // Setting the MAC address it has pins it: a bridge made by others takes that of its lowest port otherwise, and the
    // containers' neighbour entries for their gateway would go stale with each change.
    netlink::PutLinkMac(batch, bridge.index, bridge.mac);
    RETURN_IF_ERROR(host.Exchange(batch, nullptr, &each));
    for (const absl::Status& status : each) {
      // A parallel ADD may have added or deleted the same.
      if (!sys::IsErrno(status, EEXIST) && !sys::IsErrno(status, EADDRNOTAVAIL)) RETURN_IF_ERROR(status);
    }
  }
  for (const cni::IpPrefix& gateway : gateways)
    RETURN_IF_ERROR(EnsureSysctl(gateway.address.is_v4() ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding", "1"));
  return absl::OkStatus();
}

}  // namespace wherry::plugins
