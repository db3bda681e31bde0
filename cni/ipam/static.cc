#include "cni/ipam/static.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "runtime/sys/status.h"

namespace wherry::ipam {
namespace {

using Json = nlohmann::json;
using Addresses = std::vector<cni::IpConfig>;

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

absl::Status ReadIpam(const Json& ipam, const std::string& path, cni::Result* out) {
  cni::Fields fields(ipam, path);
  fields.Each("addresses", [&](const Json& item, const std::string& where) {
    cni::IpConfig address;
    cni::Fields nested(item, where);
    nested.Prefix("address", &address.address);
    nested.Address("gateway", &address.gateway);
    RETURN_IF_ERROR(nested.status());
    if (!address.address.address.valid()) return Invalid(absl::StrCat(where, ".address: missing"));
    out->ips.push_back(address);
    return absl::OkStatus();
  });
  fields.Each("routes", [&](const Json& item, const std::string& where) {
    ASSIGN_OR_RETURN(cni::Route route, cni::ReadRoute(item, where));
    out->routes.push_back(route);
    return absl::OkStatus();
  });
  fields.Object("dns", [&](const Json& dns, const std::string& where) {
    ASSIGN_OR_RETURN(out->dns, cni::ReadDns(dns, where));
    return absl::OkStatus();
  });
  return fields.status();
}

// A gateway goes to the addresses that came with it, not to those of the configuration.
absl::Status TakeArguments(const Arguments& arguments, Addresses* out) {
  Addresses list;
  for (const RequestedAddress& ip : arguments.ips) {
    if (!ip.length)
      return cni::MakeError(cni::ErrorCode::kInvalidEnvironment,
                            absl::StrCat("CNI_ARGS: IP: ", ip.address.ToString(), " lacks the length of its prefix"));
    list.push_back({{}, {ip.address, *ip.length}, {}});
  }
  for (const cni::IpAddress& gateway : arguments.gateways) {
    for (cni::IpConfig& ip : list) {
      if (ip.address.Contains(gateway)) ip.gateway = gateway;
    }
  }
  out->insert(out->end(), list.begin(), list.end());
  return absl::OkStatus();
}

// A list of prefixes; one that is not empty replaces what there was.
absl::Status Replace(const Json& object, const std::string& path, Addresses* out) {
  Addresses list;
  cni::Fields fields(object, path);
  fields.Each("ips", [&](const Json& item, const std::string& where) {
    if (!item.is_string()) return Invalid(absl::StrCat(where, " is not a string"));
    absl::StatusOr<cni::IpPrefix> prefix = cni::IpPrefix::Parse(item.get_ref<const std::string&>());
    if (!prefix.ok()) return Invalid(absl::StrCat(where, ": ", prefix.status().message()));
    list.push_back({{}, *prefix, {}});
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(fields.status());
  if (!list.empty()) *out = std::move(list);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<cni::Result> ReadStatic(const Json& document, const Arguments& arguments) {
  cni::Result out;
  cni::Fields fields(document, "");
  if (fields.status().ok() && !document.contains("ipam")) return Invalid("ipam: missing");
  fields.Object("ipam", [&](const Json& ipam, const std::string& path) { return ReadIpam(ipam, path, &out); });
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(TakeArguments(arguments, &out.ips));
  fields.Object("args", [&](const Json& args, const std::string& path) {
    cni::Fields nested(args, path);
    nested.Object("cni", [&](const Json& inner, const std::string& where) { return Replace(inner, where, &out.ips); });
    return nested.status();
  });
  fields.Object("runtimeConfig",
                [&](const Json& runtime, const std::string& path) { return Replace(runtime, path, &out.ips); });
  RETURN_IF_ERROR(fields.status());
  return out;
}

absl::Status CheckStatic(const cni::Result& wanted, const cni::Result& present) {
  for (const cni::IpConfig& ip : wanted.ips) {
    const auto same = [&](const cni::IpConfig& other) {
      return other.address.address == ip.address.address && (!ip.gateway.valid() || other.gateway == ip.gateway);
    };
    if (std::none_of(present.ips.begin(), present.ips.end(), same))
      return cni::MakeError(
          cni::ErrorCode::kInternal,
          absl::StrCat("check: prevResult has no address ", ip.address.address.ToString(),
                       ip.gateway.valid() ? absl::StrCat(" with gateway ", ip.gateway.ToString()) : std::string()));
  }
  return absl::OkStatus();
}

}  // namespace wherry::ipam
