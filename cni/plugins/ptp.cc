#include <net/if.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "api/cni/version.h"
#include "cni/ipam/ipam.h"
#include "cni/netlink/address.h"
#include "cni/netlink/route.h"
#include "cni/netlink/wait.h"
#include "cni/plugins/container_side.h"
#include "cni/plugins/masquerade.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/plugin.h"
#include "cni/plugins/previous.h"
#include "cni/plugins/sysctl.h"
#include "cni/plugins/undo.h"
#include "cni/plugins/veth.h"
#include "runtime/sys/status.h"

// ptp: a veth pair and nothing else. The host's end has the gateway's address alone (/32, /128), and the host a route to each
// container by its own link; the container reaches its neighbours through the gateway, although its address says that
// they are on its link. So all traffic between containers is routed by the host, and filters of the host see it.
namespace wherry::plugins {
namespace {

using netlink::Batch;
using netlink::Socket;

constexpr uint32_t kContainerInterface = 1;  // its place in the result: after the host's end

struct PtpConfig {
  bool ip_masq = false;
  MasqueradeBackend masquerade = MasqueradeBackend::kNftables;
  uint32_t mtu = 0;
  std::string ipam_type;
  cni::Dns dns;  // set: goes before what IPAM says
};

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

absl::StatusOr<PtpConfig> ReadPtpConfig(const Call& call) {
  PtpConfig out;
  ASSIGN_OR_RETURN(out.masquerade, ReadMasqueradeBackend(call));
  cni::Fields fields(call.document, "");
  fields.Bool("ipMasq", &out.ip_masq);
  fields.Number("mtu", &out.mtu);
  fields.Object("ipam", [&](const nlohmann::json& ipam, const std::string& path) {
    cni::Fields nested(ipam, path);
    nested.String("type", &out.ipam_type);
    return nested.status();
  });
  fields.Object("dns", [&](const nlohmann::json& dns, const std::string& path) {
    ASSIGN_OR_RETURN(out.dns, cni::ReadDns(dns, path));
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(fields.status());
  if (!cni::IsSafeName(out.ipam_type))
    return Invalid(absl::StrCat("ipam.type: \"", out.ipam_type, "\" is not a plugin's file name"));
  if (out.mtu > 65535) return Invalid(absl::StrCat("mtu: ", out.mtu, " is more than 65535"));
  return out;
}

ipam::Request IpamRequest(const Call& call, const PtpConfig& config) {
  return {config.ipam_type, call.document, call.input, call.attachment, call.arguments.ipam, call.path};
}

cni::IpPrefix Alone(const cni::IpAddress& address) { return {address, static_cast<uint8_t>(8 * address.size())}; }

absl::Status ConfigureContainer(Socket& container, int index, const cni::Result& result) {
  Batch batch;
  netlink::PutLinkUpAnnounced(batch, index);
  for (const cni::IpConfig& ip : result.ips) {
    netlink::PutNewAddressAlone(batch, index, ip.address);
    netlink::PutNewRoute(batch, index, {.dst = Alone(ip.gateway), .gw = {}});
    netlink::PutNewRoute(batch, index, {.dst = {ip.address.Network(), ip.address.length}, .gw = ip.gateway});
  }
  for (const cni::Route& route : CompleteRoutes(result)) netlink::PutNewRoute(batch, index, route);
  return container.Exchange(batch);
}

absl::Status ConfigureHost(Socket& host, const netlink::Link& link, const cni::Result& result) {
  Batch batch;
  std::vector<absl::Status> each;
  for (const cni::IpConfig& ip : result.ips) {
    netlink::PutNewAddress(batch, link.index, Alone(ip.gateway), /*detect_duplicates=*/false);
    netlink::PutNewRoute(batch, link.index, {.dst = Alone(ip.address.address), .gw = {}});
  }
  RETURN_IF_ERROR(host.Exchange(batch, nullptr, &each));
  for (const absl::Status& status : each) {
    if (!sys::IsErrno(status, EEXIST)) RETURN_IF_ERROR(status);  // two addresses with one gateway
  }
  for (const cni::IpConfig& ip : result.ips)
    RETURN_IF_ERROR(EnsureSysctl(ip.address.address.is_v4() ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding", "1"));
  return SetRouterSysctls(link.name);  // the pair has no carrier before the container's end is up
}

// The steps that touch the kernel, with `undo` growing beside them.
absl::Status Connect(const Call& call, const PtpConfig& config, const Namespaces& namespaces, Undo* undo,
                     cni::Result* result) {
  for (cni::IpConfig& ip : result->ips) {
    ip.interface = kContainerInterface;
    if (!ip.gateway.valid()) return Invalid(absl::StrCat("ipam: no gateway for address ", ip.address.ToString()));
  }
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(Socket container, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(const Veth veth, MakeVeth(host, container, namespaces.container(), call.attachment,
                                             {.mtu = config.mtu, .mac = {}, .bridge = nullptr}));
  undo->Push("deletion of the veth pair", [name = veth.host.name] { return DeleteHostEnd(name); });
  RETURN_IF_ERROR(ConfigureHost(host, veth.host, *result));
  RETURN_IF_ERROR(namespaces.Visit([&] { return SetContainerSysctls(call.attachment.ifname, false, *result); }));
  RETURN_IF_ERROR(ConfigureContainer(container, veth.container_index(), *result));
  if (config.ip_masq) {
    undo->Push("deletion of masquerading", [&] { return DeleteMasquerade(config.masquerade, call); });
    RETURN_IF_ERROR(AddMasquerade(config.masquerade, call, *result));
  }
  RETURN_IF_ERROR(netlink::WaitForUp(host, veth.host.name, kLinkUpMilliseconds));
  result->interfaces = {{.name = veth.host.name, .mac = veth.host.mac},
                        {.name = call.attachment.ifname, .mac = veth.container_mac, .sandbox = call.netns}};
  return absl::OkStatus();
}

absl::StatusOr<cni::Result> Add(const Call& call) {
  ASSIGN_OR_RETURN(const PtpConfig config, ReadPtpConfig(call));
  ASSIGN_OR_RETURN(const Namespaces namespaces, Namespaces::Open(call.netns));
  Undo undo;
  ASSIGN_OR_RETURN(cni::Result result, ipam::Add(IpamRequest(call, config)));
  undo.Push("release of the addresses", [&] { return ipam::Delete(IpamRequest(call, config)); });
  if (absl::Status status = Connect(call, config, namespaces, &undo, &result); !status.ok()) return undo.Run(status);
  if (!config.dns.empty()) result.dns = config.dns;
  return result;
}

absl::Status Del(const Call& call) {
  ASSIGN_OR_RETURN(const PtpConfig config, ReadPtpConfig(call));
  RETURN_IF_ERROR(DeleteVeth(call));
  if (config.ip_masq) RETURN_IF_ERROR(DeleteMasquerade(config.masquerade, call));
  return ipam::Delete(IpamRequest(call, config));
}

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(const PtpConfig config, ReadPtpConfig(call));
  ASSIGN_OR_RETURN(const cni::Result result, PreviousResult(call));
  ASSIGN_OR_RETURN(const Namespaces namespaces, Namespaces::Open(call.netns));
  RETURN_IF_ERROR(ipam::Check(IpamRequest(call, config)));
  const std::string& ifname = call.attachment.ifname;
  const cni::Interface* expected = FindInterface(result, ifname, call.netns);
  if (expected == nullptr) return CheckFailed(absl::StrCat("prevResult has no ", ifname, " in ", call.netns));
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(Socket container, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(const netlink::Link inside, ExistingLink(container, ifname, "veth", expected->mac));
  absl::StatusOr<netlink::Link> outside = netlink::GetLink(host, inside.peer);
  if (!outside.ok() || outside->peer != inside.index || !outside->up())
    return CheckFailed(absl::StrCat("the other end of ", ifname, " is not on the host, or down"));
  RETURN_IF_ERROR(CheckAddresses(container, inside, result));
  RETURN_IF_ERROR(CheckRoutes(container, result));
  if (!config.ip_masq) return absl::OkStatus();
  return CheckMasquerade(config.masquerade, call, result);
}

absl::Status Status(const Call& call) {
  ASSIGN_OR_RETURN(const PtpConfig config, ReadPtpConfig(call));
  return ipam::Status(IpamRequest(call, config));
}

absl::Status Read(const Call& call) { return ReadPtpConfig(call).status(); }

absl::Status Gc(const Call& call) {
  ASSIGN_OR_RETURN(const PtpConfig config, ReadPtpConfig(call));
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> valid, ipam::ValidAttachments(call.document));
  absl::Status status = ipam::Collect(IpamRequest(call, config));
  if (config.ip_masq) status.Update(CollectMasquerade(config.masquerade, call, valid));
  return status;
}

}  // namespace

const Plugin kPtp = {"ptp", Add, Del, Check, Status, Gc, Read};

}  // namespace wherry::plugins
