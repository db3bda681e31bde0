#include "cni/plugins/container_side.h"

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/netlink/address.h"
#include "cni/netlink/route.h"
#include "cni/plugins/sysctl.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {

using netlink::Link;
using netlink::Socket;

absl::Status SetContainerSysctls(const std::string& ifname, bool detect_duplicates, const cni::Result& result) {
  const std::string base = absl::StrCat("ipv6/conf/", ifname, "/");
  const char* detect = detect_duplicates ? "1" : "0";
  RETURN_IF_ERROR(EnsureSysctlIfPresent(base + "accept_dad", detect));
  RETURN_IF_ERROR(EnsureSysctlIfPresent(base + "accept_ra", "0"));
  if (detect_duplicates) RETURN_IF_ERROR(EnsureSysctlIfPresent(base + "enhanced_dad", "1"));
  const auto is_v6 = [](const cni::IpConfig& ip) { return !ip.address.address.is_v4(); };
  if (std::none_of(result.ips.begin(), result.ips.end(), is_v6)) return absl::OkStatus();
  RETURN_IF_ERROR(EnsureSysctl("ipv6/conf/lo/disable_ipv6", "0"));
  RETURN_IF_ERROR(EnsureSysctl(base + "disable_ipv6", "0"));
  return EnsureSysctl(base + "keep_addr_on_down", "1");
}

std::vector<cni::Route> CompleteRoutes(const cni::Result& result) {
  std::vector<cni::Route> out;
  for (cni::Route route : result.routes) {
    for (const cni::IpConfig& ip : result.ips) {
      if (!route.gw.valid() && ip.gateway.size() == route.dst.address.size()) route.gw = ip.gateway;
    }
    if (std::find(out.begin(), out.end(), route) == out.end()) out.push_back(route);
  }
  return out;
}

absl::Status CheckFailed(absl::string_view text) {
  return cni::MakeError(cni::ErrorCode::kInternal, absl::StrCat("check: ", text));
}

const cni::Interface* FindInterface(const cni::Result& result, const std::string& name, const std::string& sandbox) {
  auto found = std::find_if(result.interfaces.begin(), result.interfaces.end(), [&](const cni::Interface& interface) {
    return interface.name == name && interface.sandbox == sandbox;
  });
  return found == result.interfaces.end() ? nullptr : &*found;
}

absl::StatusOr<Link> ExistingLink(Socket& socket, const std::string& name, const std::string& kind,
                                  const std::string& mac) {
  absl::StatusOr<Link> link = netlink::GetLink(socket, name);
  if (!link.ok() && sys::IsErrno(link.status(), ENODEV))
    return CheckFailed(absl::StrCat("interface ", name, " is missing"));
  RETURN_IF_ERROR(link.status());
  if (link->kind != kind) return CheckFailed(absl::StrCat("interface ", name, " is not a ", kind));
  if (!mac.empty() && link->mac != mac)
    return CheckFailed(absl::StrCat("interface ", name, " has MAC address ", link->mac, " in place of ", mac));
  return link;
}

absl::Status CheckAddresses(Socket& container, const Link& inside, const cni::Result& result) {
  ASSIGN_OR_RETURN(std::vector<cni::IpPrefix> present, netlink::GetAddresses(container, inside.index));
  for (const cni::IpConfig& ip : result.ips) {
    const bool ours = !ip.interface || (*ip.interface < result.interfaces.size() &&
                                        result.interfaces[*ip.interface].name == inside.name);
    if (ours && std::find(present.begin(), present.end(), ip.address) == present.end())
      return CheckFailed(absl::StrCat("interface ", inside.name, " lost the address ", ip.address.ToString()));
  }
  return absl::OkStatus();
}

absl::Status CheckRoutes(Socket& container, const cni::Result& result) {
  if (result.routes.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<cni::Route> present, netlink::GetRoutes(container));
  for (const cni::Route& expected : result.routes) {
    const auto same = [&](const cni::Route& route) {
      return route.dst.length == expected.dst.length && route.dst.address == expected.dst.Network() &&
             (!expected.gw.valid() || route.gw == expected.gw);
    };
    if (std::none_of(present.begin(), present.end(), same))
      return CheckFailed(absl::StrCat("the route to ", expected.dst.ToString(), " is missing"));
  }
  return absl::OkStatus();
}

}  // namespace wherry::plugins
