#include <fcntl.h>
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
#include "cni/netlink/wait.h"
#include "cni/nft/mac_spoof.h"
#include "cni/plugins/bridge.h"
#include "cni/plugins/bridge_config.h"
#include "cni/plugins/bridge_host.h"
#include "cni/plugins/bridge_vlan.h"
#include "cni/plugins/container_side.h"
#include "cni/plugins/masquerade.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/undo.h"
#include "cni/plugins/veth.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

// ADD of the bridge plugin. The kernel's floor for a veth pair between two namespaces is well below a millisecond, so what
// is counted here is round trips and files: one exchange each for the bridge, the veth pair (both ends, names, MAC
// addresses, MTU, namespace, bridge port, up) and the container's side (up, addresses, routes); one for the bridge's
// addresses with isGateway. Addresses are taken from IPAM first: a lease is easier to give back than an interface.
namespace wherry::plugins {
namespace {

// Of enabledad: a random second, and one for an answer.
constexpr int kDetectionMilliseconds = 10'000;

using netlink::Batch;
using netlink::Socket;

constexpr uint32_t kContainerInterface = 2;  // its place in the result: after the bridge and the host's end

// Fills in gateways and default routes that the configuration leaves to us, and returns what the bridge must own.
std::vector<cni::IpPrefix> CompleteGateways(const BridgeConfig& config, cni::Result* result) {
  std::vector<cni::IpPrefix> out;
  std::vector<int> with_default;
  for (cni::IpConfig& ip : result->ips) {
    const cni::IpAddress& address = ip.address.address;
    ip.interface = kContainerInterface;
    if (!config.gateway) continue;
    if (!ip.gateway.valid()) ip.gateway = ip.address.Network().Next();
    const cni::IpPrefix gateway{ip.gateway, ip.address.length};
    if (std::find(out.begin(), out.end(), gateway) == out.end()) out.push_back(gateway);
    if (!config.default_gateway || std::count(with_default.begin(), with_default.end(), address.family()) != 0)
      continue;
    with_default.push_back(address.family());
    const auto is_default = [&](const cni::Route& route) {
      return route.gw.valid() && route.dst.length == 0 && route.dst.address.family() == address.family();
    };
    if (std::none_of(result->routes.begin(), result->routes.end(), is_default))
      result->routes.push_back({.dst = {address.Mask(0), 0}, .gw = ip.gateway});
  }
  return out;
}

absl::Status ConfigureContainer(Socket& container, int index, const BridgeConfig& config, const cni::Result& result) {
  if (config.disable_container_interface) return absl::OkStatus();
  Batch batch;
  netlink::PutLinkUpAnnounced(batch, index);
  for (const cni::IpConfig& ip : result.ips) netlink::PutNewAddress(batch, index, ip.address, config.detect_duplicates);
  for (const cni::Route& route : CompleteRoutes(result)) netlink::PutNewRoute(batch, index, route);
  return container.Exchange(batch);
}

// The port forwards nothing yet, since the container's end is down.
absl::Status ConfigurePort(Socket& host, int port, const BridgeConfig& config) {
  Batch batch;
  if (config.hairpin || config.isolated) netlink::PutPortOptions(batch, port, config.hairpin, config.isolated);
  PutPortVlans(batch, port, PlanPortVlans(config));
  return batch.empty() ? absl::OkStatus() : host.Exchange(batch);
}

// The steps that touch the kernel, with `undo` growing beside them.
absl::Status Connect(const Call& call, const BridgeConfig& config, const Namespaces& namespaces, Undo* undo,
                     cni::Result* result) {
  const std::vector<cni::IpPrefix> gateways = CompleteGateways(config, result);
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(Socket container, namespaces.OpenSocket());
  WHERRY_FAIL_POINT("bridge.ensure");
  ASSIGN_OR_RETURN(netlink::Link bridge, EnsureBridge(host, config));
  netlink::Link gateway = bridge;
  if (config.vlan != 0 && !gateways.empty()) {
    ASSIGN_OR_RETURN(gateway, EnsureVlanGateway(host, namespaces, bridge, config));
  }
  WHERRY_FAIL_POINT("bridge.gateways");
  if (!gateways.empty()) RETURN_IF_ERROR(EnsureGateways(host, gateway, gateways, config.force_address));
  WHERRY_FAIL_POINT("bridge.veth");
  ASSIGN_OR_RETURN(Veth veth, MakeVeth(host, container, namespaces.container(), call.attachment,
                                       {.mtu = config.mtu, .mac = config.mac, .bridge = &bridge}));
  undo->Push("deletion of the veth pair", [name = veth.host.name] { return DeleteHostEnd(name); });
  WHERRY_FAIL_POINT("bridge.port");
  RETURN_IF_ERROR(ConfigurePort(host, veth.host.index, config));
  if (config.mac_spoof_check) {
    undo->Push("deletion of macspoofchk", [&] { return nft::DeleteMacSpoofCheck(call.attachment); });
    ASSIGN_OR_RETURN(const netlink::MacAddress mac, netlink::ParseMac(veth.container_mac));
    RETURN_IF_ERROR_CTX(nft::AddMacSpoofCheck(call.network, call.attachment, veth.host.name, mac.data()),
                        "macspoofchk");
  }
  if (!config.ipam_type.empty())
    RETURN_IF_ERROR(namespaces.Visit(
        [&] { return SetContainerSysctls(call.attachment.ifname, config.detect_duplicates, *result); }));
  WHERRY_FAIL_POINT("bridge.container");
  RETURN_IF_ERROR(ConfigureContainer(container, veth.container_index(), config, *result));
  if (config.ip_masq && !result->ips.empty()) {
    undo->Push("deletion of masquerading", [&] { return DeleteMasquerade(config.masquerade, call); });
    WHERRY_FAIL_POINT("bridge.masquerade");
    RETURN_IF_ERROR(AddMasquerade(config.masquerade, call, *result));
  }
  if (!config.disable_container_interface)
    RETURN_IF_ERROR(netlink::WaitForUp(host, veth.host.name, kLinkUpMilliseconds));
  if (config.detect_duplicates && !config.disable_container_interface)
    RETURN_IF_ERROR(namespaces.Visit(
        [&] { return netlink::WaitForDetection(container, veth.container_index(), kDetectionMilliseconds); }));
  WHERRY_FAIL_POINT("bridge.configured");
  result->interfaces = {{.name = veth.bridge.name, .mac = veth.bridge.mac},
                        {.name = veth.host.name, .mac = veth.host.mac},
                        {.name = call.attachment.ifname, .mac = veth.container_mac, .sandbox = call.netns}};
  if (gateway.index != bridge.index) result->interfaces.push_back({.name = gateway.name, .mac = gateway.mac});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<cni::Result> BridgeAdd(const Call& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  ASSIGN_OR_RETURN(const Namespaces namespaces, Namespaces::Open(call.netns));
  cni::Result result;
  Undo undo;
  if (!config.ipam_type.empty()) {
    ASSIGN_OR_RETURN(result, ipam::Add(IpamRequest(call, config)));
    undo.Push("release of the addresses", [&] { return ipam::Delete(IpamRequest(call, config)); });
  }
  if (absl::Status status = Connect(call, config, namespaces, &undo, &result); !status.ok()) return undo.Run(status);
  if (!config.dns.empty()) result.dns = config.dns;
  return result;
}

}  // namespace wherry::plugins
