#include "api/cni/result.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "api/cni/version.h"

namespace wherry::cni {
namespace {

using OrderedJson = nlohmann::ordered_json;

absl::Status ReadInterface(const nlohmann::json& object, const std::string& path, Result* out) {
  Interface interface;
  Fields fields(object, path);
  fields.String("name", &interface.name);
  fields.String("mac", &interface.mac);
  fields.Number("mtu", &interface.mtu);
  fields.String("sandbox", &interface.sandbox);
  fields.String("socketPath", &interface.socket_path);
  fields.String("pciID", &interface.pci_id);
  out->interfaces.push_back(std::move(interface));
  return fields.status();
}

absl::Status ReadIp(const nlohmann::json& object, const std::string& path, Result* out) {
  IpConfig ip;
  Fields fields(object, path);
  fields.Number("interface", &ip.interface);
  fields.Prefix("address", &ip.address);
  fields.Address("gateway", &ip.gateway);
  if (fields.status().ok() && !ip.address.address.valid())
    return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(path, ".address is missing"));
  out->ips.push_back(ip);
  return fields.status();
}

OrderedJson PrintInterface(const Interface& interface, bool extras) {
  OrderedJson out{{"name", interface.name}};
  if (!interface.mac.empty()) out["mac"] = interface.mac;
  if (extras && interface.mtu != 0) out["mtu"] = interface.mtu;
  if (!interface.sandbox.empty()) out["sandbox"] = interface.sandbox;
  if (extras && !interface.socket_path.empty()) out["socketPath"] = interface.socket_path;
  if (extras && !interface.pci_id.empty()) out["pciID"] = interface.pci_id;
  return out;
}

OrderedJson PrintIp(const IpConfig& ip, bool with_version) {
  OrderedJson out = OrderedJson::object();
  if (with_version) out["version"] = ip.address.address.is_v4() ? "4" : "6";
  if (ip.interface) out["interface"] = *ip.interface;
  out["address"] = ip.address.ToString();
  if (ip.gateway.valid()) out["gateway"] = ip.gateway.ToString();
  return out;
}

OrderedJson PrintRoute(const Route& route) {
  OrderedJson out{{"dst", route.dst.ToString()}};
  if (route.gw.valid()) out["gw"] = route.gw.ToString();
  if (route.mtu != 0) out["mtu"] = route.mtu;
  if (route.advmss != 0) out["advmss"] = route.advmss;
  if (route.priority != 0) out["priority"] = route.priority;
  if (route.table) out["table"] = *route.table;
  if (route.scope) out["scope"] = *route.scope;
  return out;
}

OrderedJson PrintDns(const Dns& dns) {
  OrderedJson out = OrderedJson::object();
  if (!dns.nameservers.empty()) out["nameservers"] = dns.nameservers;
  if (!dns.domain.empty()) out["domain"] = dns.domain;
  if (!dns.search.empty()) out["search"] = dns.search;
  if (!dns.options.empty()) out["options"] = dns.options;
  return out;
}

}  // namespace

absl::StatusOr<Route> ReadRoute(const nlohmann::json& object, const std::string& path) {
  Route route;
  Fields fields(object, path);
  fields.Prefix("dst", &route.dst);
  fields.Address("gw", &route.gw);
  fields.Number("mtu", &route.mtu);
  fields.Number("advmss", &route.advmss);
  fields.Number("priority", &route.priority);
  fields.Number("table", &route.table);
  fields.Number("scope", &route.scope);
  if (!fields.status().ok()) return fields.status();
  if (!route.dst.address.valid()) return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(path, ".dst is missing"));
  return route;
}

absl::StatusOr<Dns> ReadDns(const nlohmann::json& object, const std::string& path) {
  Dns dns;
  Fields fields(object, path);
  fields.Strings("nameservers", &dns.nameservers);
  fields.String("domain", &dns.domain);
  fields.Strings("search", &dns.search);
  fields.Strings("options", &dns.options);
  if (!fields.status().ok()) return fields.status();
  return dns;
}

absl::StatusOr<Result> ReadResult(const nlohmann::json& document, absl::string_view fallback_version) {
  Result out;
  out.version = std::string(fallback_version);
  Fields fields(document, "result");
  fields.String("cniVersion", &out.version);
  if (fields.status().ok() && !IsSupportedVersion(out.version))
    return MakeError(ErrorCode::kIncompatibleVersion, absl::StrCat("result of CNI version \"", out.version, "\""));
  fields.Each("interfaces", [&](const auto& item, const auto& path) { return ReadInterface(item, path, &out); });
  fields.Each("ips", [&](const auto& item, const auto& path) { return ReadIp(item, path, &out); });
  fields.Each("routes", [&](const auto& item, const auto& path) {
    absl::StatusOr<Route> route = ReadRoute(item, path);
    if (route.ok()) out.routes.push_back(*route);
    return route.status();
  });
  fields.Object("dns", [&](const auto& object, const auto& path) {
    absl::StatusOr<Dns> dns = ReadDns(object, path);
    if (!dns.ok()) return dns.status();
    out.dns = *std::move(dns);
    return absl::OkStatus();
  });
  if (!fields.status().ok()) return fields.status();
  return out;
}

absl::StatusOr<Result> ParseResult(absl::string_view text, absl::string_view fallback_version) {
  absl::StatusOr<nlohmann::json> document = ParseJson(text);
  if (!document.ok()) return document.status();
  return ReadResult(*document, fallback_version);
}

std::string PrintResult(const Result& result, absl::string_view version) {
  const bool modern = VersionAtLeast(version, "1.0.0");
  OrderedJson out{{"cniVersion", std::string(version)}};
  for (const Interface& interface : result.interfaces) out["interfaces"].push_back(PrintInterface(interface, modern));
  for (const IpConfig& ip : result.ips) out["ips"].push_back(PrintIp(ip, !modern));
  for (const Route& route : result.routes) out["routes"].push_back(PrintRoute(route));
  out["dns"] = PrintDns(result.dns);
  return out.dump(4, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace wherry::cni
