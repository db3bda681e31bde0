#include "cni/nft/portmap.h"

#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "cni/ipam/ipam.h"
#include "cni/netlink/link.h"
#include "cni/netlink/route.h"
#include "cni/nft/conntrack.h"
#include "cni/nft/table.h"
#include "cni/plugins/plugin.h"
#include "cni/plugins/previous.h"
#include "cni/plugins/sysctl.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

// portmap: ports of the host lead to the container (capability "portMappings"). The rules and their reasons are in
// cni/nft/portmap.cc. Options are the reference plugin's, but for those that are iptables' own.
namespace wherry::plugins {
namespace {

using Json = nlohmann::json;
using nft::PortMap;
using nft::PortMapping;

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

absl::StatusOr<uint8_t> ProtocolOf(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  if (lower.empty() || lower == "tcp") return IPPROTO_TCP;
  if (lower == "udp") return IPPROTO_UDP;
  if (lower == "sctp") return IPPROTO_SCTP;
  return Invalid(absl::StrCat("protocol \"", name, "\" is not tcp, udp or sctp"));
}

absl::StatusOr<PortMapping> ReadMapping(const Json& object, const std::string& path) {
  cni::Fields fields(object, path);
  uint32_t host = 0, container = 0;
  std::string protocol, host_ip;
  fields.Number("hostPort", &host);
  fields.Number("containerPort", &container);
  fields.String("protocol", &protocol);
  fields.String("hostIP", &host_ip);
  RETURN_IF_ERROR(fields.status());
  for (const auto& [name, port] : {std::pair("hostPort", host), std::pair("containerPort", container)}) {
    if (port == 0 || port > UINT16_MAX) return Invalid(absl::StrCat(path, ".", name, ": ", port, " is no port"));
  }
  PortMapping out;
  out.host_port = static_cast<uint16_t>(host);
  out.container_port = static_cast<uint16_t>(container);
  ASSIGN_OR_RETURN_CTX(out.protocol, ProtocolOf(protocol), path);
  if (host_ip.empty()) return out;
  absl::StatusOr<cni::IpAddress> address = cni::IpAddress::Parse(host_ip);
  if (!address.ok()) return Invalid(absl::StrCat(path, ".hostIP: ", address.status().message()));
  out.host_ip = *address;
  return out;
}

// Options that tell how packets are marked, or which further ones are let through, in the language of iptables.
absl::Status RefuseUnsupported(const Json& document) {
  for (const char* key : {"markMasqBit", "externalSetMarkChain", "conditionsV4", "conditionsV6"}) {
    auto found = document.find(key);
    if (found == document.end() || found->is_null() || *found == Json::array()) continue;
    return cni::MakeError(cni::ErrorCode::kUnsupportedField, absl::StrCat("unsupported field ", key));
  }
  auto backend = document.find("backend");
  if (backend == document.end() || backend->is_null() || *backend == Json("nftables")) return absl::OkStatus();
  return cni::MakeError(cni::ErrorCode::kUnsupportedField, "unsupported field backend: only nftables is there");
}

absl::StatusOr<PortMap> ReadPortMap(const Call& call) {
  PortMap out;
  if (call.command != "DEL") RETURN_IF_ERROR(RefuseUnsupported(call.document));
  cni::Fields fields(call.document, "");
  fields.Bool("snat", &out.hide_near);
  fields.Bool("masqAll", &out.hide_all);
  fields.Object("runtimeConfig", [&](const Json& runtime, const std::string& path) {
    cni::Fields nested(runtime, path);
    nested.Each("portMappings", [&](const Json& object, const std::string& where) {
      ASSIGN_OR_RETURN(PortMapping mapping, ReadMapping(object, where));
      out.mappings.push_back(mapping);
      return absl::OkStatus();
    });
    return nested.status();
  });
  RETURN_IF_ERROR(fields.status());
  return out;
}

// The first address of each family.
void TakeAddresses(const cni::Result& result, PortMap* out) {
  for (const cni::IpPrefix& address : ContainerAddresses(result)) {
    const auto same = [&](const cni::IpPrefix& known) { return known.address.size() == address.address.size(); };
    if (std::none_of(out->addresses.begin(), out->addresses.end(), same)) out->addresses.push_back(address);
  }
}

nft::Flows FlowsOf(const PortMap& map) {
  nft::Flows out;
  for (const PortMapping& mapping : map.mappings) {
    if (mapping.protocol != IPPROTO_UDP) continue;
    const bool one = mapping.host_ip.valid() && !mapping.host_ip.IsZero();
    out.host_ports.emplace_back(one ? mapping.host_ip : cni::IpAddress(), mapping.host_port);
  }
  return out;
}

// Lets 127.0.0.1 out to the container, by the interface that leads there.
absl::Status OpenLoopback(const PortMap& map) {
  if (!map.hide_near && !map.hide_all) return absl::OkStatus();
  for (const cni::IpPrefix& address : map.addresses) {
    if (!address.address.is_v4()) continue;
    ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open());
    ASSIGN_OR_RETURN(const std::string link, netlink::LinkTo(socket, address.address));
    return EnsureSysctl(absl::StrCat("ipv4/conf/", link, "/route_localnet"), "1");
  }
  return absl::OkStatus();
}

absl::StatusOr<cni::Result> Add(const Call& call) {
  ASSIGN_OR_RETURN(PortMap map, ReadPortMap(call));
  ASSIGN_OR_RETURN(cni::Result result, PreviousResult(call));
  if (map.mappings.empty()) return result;
  TakeAddresses(result, &map);
  if (map.addresses.empty()) return Invalid("prevResult: the container has no address to map ports to");
  // The rules first: they hold the guard that makes OpenLoopback safe.
  WHERRY_FAIL_POINT("portmap.add");
  RETURN_IF_ERROR(nft::AddPortMap(call.network, call.attachment, map));
  WHERRY_CRASH_POINT("portmap.added");
  absl::Status status = OpenLoopback(map);
  status.Update(nft::ForgetUdp(FlowsOf(map)));
  if (status.ok()) return result;
  if (absl::Status undone = nft::DeletePortMap(call.network, call.attachment); !undone.ok())
    status = sys::Annotate(status, absl::StrCat(undone.message(), "; after"));
  return status;
}

// Malformed mappings do not keep the rules alive: without them, flows are found by the container's addresses.
absl::Status Del(const Call& call) {
  WHERRY_FAIL_POINT("portmap.delete");
  RETURN_IF_ERROR(nft::DeletePortMap(call.network, call.attachment));
  WHERRY_FAIL_POINT("portmap.deleted");
  nft::Flows flows;
  if (absl::StatusOr<PortMap> map = ReadPortMap(call); map.ok()) {
    flows = FlowsOf(*map);
    if (flows.host_ports.empty() && !map->mappings.empty()) return absl::OkStatus();
  }
  if (absl::StatusOr<cni::Result> result = PreviousResultIfAny(call); result.ok()) {
    for (const cni::IpPrefix& address : ContainerAddresses(*result)) flows.containers.insert(address.address);
  }
  return nft::ForgetUdp(flows);
}

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(PortMap map, ReadPortMap(call));
  ASSIGN_OR_RETURN(const cni::Result result, PreviousResult(call));
  TakeAddresses(result, &map);
  return nft::CheckPortMap(call.network, call.attachment, map);
}

absl::Status Read(const Call& call) { return ReadPortMap(call).status(); }

// Whether nf_tables answers.
absl::Status Status(const Call&) {
  absl::StatusOr<nft::Netfilter> netfilter = nft::Netfilter::Open();
  absl::Status status = netfilter.status();
  if (status.ok()) status = netfilter->ListRules("wherry_portmap").status();
  return status.ok() ? status : cni::MakeError(cni::ErrorCode::kNotAvailable, status.message());
}

absl::Status Gc(const Call& call) {
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> valid, ipam::ValidAttachments(call.document));
  return nft::CollectPortMaps(call.network, valid);
}

}  // namespace

const Plugin kPortmap = {"portmap", Add, Del, Check, Status, Gc, Read};

}  // namespace wherry::plugins
