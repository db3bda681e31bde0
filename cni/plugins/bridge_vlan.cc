#include "cni/plugins/bridge_vlan.h"

#include <net/if.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/plugins/sysctl.h"
#include "cni/plugins/veth.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

using netlink::Batch;
using netlink::Link;
using netlink::VlanRange;

constexpr uint16_t kDefaultVlan = 1;

// All that are in none of `ranges`.
std::vector<VlanRange> Others(std::vector<VlanRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const VlanRange& a, const VlanRange& b) { return a.first < b.first; });
  std::vector<VlanRange> out;
  unsigned next = 1;
  for (const VlanRange& range : ranges) {
    if (range.first > next)
      out.push_back({.first = static_cast<uint16_t>(next), .last = static_cast<uint16_t>(range.first - 1)});
    next = std::max(next, range.last + 1U);
  }
  if (next <= netlink::kLastVlan) out.push_back({.first = static_cast<uint16_t>(next), .last = netlink::kLastVlan});
  return out;
}

// Each VLAN by itself; what comes later in the list sets the flags anew, and only one VLAN is native.
std::map<uint16_t, VlanRange> Spread(const std::vector<VlanRange>& ranges) {
  std::map<uint16_t, VlanRange> out;
  for (const VlanRange& range : ranges) {
    for (unsigned vlan = range.first; vlan <= range.last; ++vlan) {
      const auto id = static_cast<uint16_t>(vlan);
      out[id] = {.first = id, .last = id, .untagged = range.untagged, .native = range.native};
    }
  }
  return out;
}

absl::Status NotOurs(const std::string& name, const Link& bridge) {
  return cni::MakeError(cni::ErrorCode::kInvalidConfig,
                        absl::StrCat("interface ", name, " exists and is not a veth into bridge ", bridge.name));
}

// A parallel ADD may make it meanwhile.
absl::StatusOr<Link> FindOrMake(netlink::Socket& host, const Namespaces& namespaces, const Link& bridge,
                                const BridgeConfig& config) {
  const std::string name = VlanGatewayName(config);
  absl::StatusOr<Link> link = netlink::GetLink(host, name);
  if (link.ok() || !sys::IsErrno(link.status(), ENODEV)) return link;
  const VethOptions options{.mtu = bridge.mtu, .mac = {}, .bridge = &bridge};
  const absl::Status made = MakeVeth(host, host, namespaces.home(), {bridge.name, name}, options).status();
  link = netlink::GetLink(host, name);
  return link.ok() || made.ok() ? link : made;
}

}  // namespace

VlanPlan PlanPortVlans(const BridgeConfig& config) {
  VlanPlan out;
  if (config.vlan == 0 && config.vlan_trunk.empty()) return out;
  const uint16_t native = config.vlan != 0 ? config.vlan : kDefaultVlan;
  const VlanRange own{.first = native, .last = native, .untagged = true, .native = true};
  out.add = config.vlan_trunk;
  out.add.insert(config.vlan != 0 ? out.add.begin() : out.add.end(), own);
  if (!config.preserve_default_vlan) out.remove = Others(out.add);
  return out;
}

void PutPortVlans(Batch& batch, int port, const VlanPlan& plan) {
  netlink::PutDeletePortVlans(batch, port, plan.remove);
  netlink::PutAddPortVlans(batch, port, plan.add);
}

absl::Status CheckPortVlans(netlink::Socket& host, const Link& port, const BridgeConfig& config) {
  const VlanPlan plan = PlanPortVlans(config);
  if (plan.add.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<VlanRange> ranges, netlink::GetPortVlans(host, port.index));
  const std::map<uint16_t, VlanRange> wanted = Spread(plan.add), present = Spread(ranges);
  for (const auto& [vlan, range] : wanted) {
    auto found = present.find(vlan);
    if (found == present.end() || found->second != range)
      return cni::MakeError(cni::ErrorCode::kInternal,
                            absl::StrCat("check: port ", port.name, " is not in VLAN ", vlan, " as configured"));
  }
  if (config.preserve_default_vlan || present.size() == wanted.size()) return absl::OkStatus();
  return cni::MakeError(cni::ErrorCode::kInternal, absl::StrCat("check: port ", port.name, " is in ", present.size(),
                                                                " VLANs in place of ", wanted.size()));
}

std::string VlanGatewayName(const BridgeConfig& config) { return absl::StrCat(config.bridge, ".", config.vlan); }

// Everything is set each time, not by its maker alone: one that was killed half way would leave the gateway in another VLAN
// than its name says.
absl::StatusOr<Link> EnsureVlanGateway(netlink::Socket& host, const Namespaces& namespaces, const Link& bridge,
                                       const BridgeConfig& config) {
  ASSIGN_OR_RETURN(const Link gateway, FindOrMake(host, namespaces, bridge, config));
  if (gateway.kind != "veth" || gateway.peer == 0) return NotOurs(gateway.name, bridge);
  absl::StatusOr<Link> port = netlink::GetLink(host, gateway.peer);
  if (!port.ok() || port->master != bridge.index || port->peer != gateway.index) return NotOurs(gateway.name, bridge);
  BridgeConfig only = config;
  only.vlan_trunk.clear();
  Batch batch;
  PutPortVlans(batch, port->index, PlanPortVlans(only));
  netlink::PutLinkFlags(batch, gateway.index, IFF_UP);
  netlink::PutLinkFlags(batch, port->index, IFF_UP);
  RETURN_IF_ERROR(SetRouterSysctls(gateway.name));
  RETURN_IF_ERROR(host.Exchange(batch));
  return gateway;
}

}  // namespace wherry::plugins
