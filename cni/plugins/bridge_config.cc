#include "cni/plugins/bridge_config.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "api/cni/version.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

using Json = nlohmann::json;

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

absl::StatusOr<uint16_t> VlanId(uint32_t id, const std::string& path) {
  if (id >= 1 && id <= netlink::kLastVlan) return static_cast<uint16_t>(id);
  return Invalid(absl::StrCat(path, ": ", id, " is no VLAN of 1 to ", netlink::kLastVlan));
}

// One item of vlanTrunk: "id", or "minID" with "maxID", or both.
absl::Status ReadTrunkItem(const Json& item, const std::string& path, std::vector<bool>* members) {
  std::optional<uint32_t> id, min, max;
  cni::Fields fields(item, path);
  fields.Number("id", &id);
  fields.Number("minID", &min);
  fields.Number("maxID", &max);
  RETURN_IF_ERROR(fields.status());
  if (min.has_value() != max.has_value()) return Invalid(absl::StrCat(path, ": minID and maxID go together"));
  if (id) {
    ASSIGN_OR_RETURN(const uint16_t vlan, VlanId(*id, absl::StrCat(path, ".id")));
    (*members)[vlan] = true;
  }
  if (!min) return absl::OkStatus();
  ASSIGN_OR_RETURN(const uint16_t first, VlanId(*min, absl::StrCat(path, ".minID")));
  ASSIGN_OR_RETURN(const uint16_t last, VlanId(*max, absl::StrCat(path, ".maxID")));
  if (first > last) return Invalid(absl::StrCat(path, ": minID is greater than maxID"));
  std::fill(members->begin() + first, members->begin() + last + 1, true);
  return absl::OkStatus();
}

absl::Status ReadVlans(const Json& document, BridgeConfig* out) {
  uint32_t vlan = 0;
  std::vector<bool> members(netlink::kLastVlan + 1);
  cni::Fields fields(document, "");
  fields.Number("vlan", &vlan);
  fields.Bool("preserveDefaultVlan", &out->preserve_default_vlan);
  fields.Each("vlanTrunk",
              [&](const Json& item, const std::string& path) { return ReadTrunkItem(item, path, &members); });
  RETURN_IF_ERROR(fields.status());
  if (vlan != 0) {
    ASSIGN_OR_RETURN(out->vlan, VlanId(vlan, "vlan"));
  }
  for (uint16_t id = 1; id <= netlink::kLastVlan; ++id) {
    if (!members[id]) continue;
    if (out->vlan_trunk.empty() || out->vlan_trunk.back().last + 1 != id) out->vlan_trunk.push_back({.first = id});
    out->vlan_trunk.back().last = id;
  }
  const auto trunk = document.find("vlanTrunk");
  out->filters_vlans = vlan != 0 || (trunk != document.end() && !trunk->is_null());
  return absl::OkStatus();
}

// args.cni.mac, then runtimeConfig.mac: the later one counts.
absl::Status ReadMac(const Json& document, std::string mac, BridgeConfig* out) {
  cni::Fields fields(document, "");
  fields.Object("args", [&](const Json& args, const std::string& path) {
    cni::Fields nested(args, path);
    nested.Object("cni", [&](const Json& inner, const std::string& where) {
      cni::Fields leaf(inner, where);
      leaf.String("mac", &mac);
      return leaf.status();
    });
    return nested.status();
  });
  fields.Object("runtimeConfig", [&](const Json& runtime, const std::string& path) {
    cni::Fields nested(runtime, path);
    nested.String("mac", &mac);
    return nested.status();
  });
  RETURN_IF_ERROR(fields.status());
  if (mac.empty()) return absl::OkStatus();
  absl::StatusOr<netlink::MacAddress> parsed = netlink::ParseMac(mac);
  if (!parsed.ok()) return Invalid(absl::StrCat("mac: ", parsed.status().message()));
  out->mac = *parsed;
  return absl::OkStatus();
}

absl::Status CheckWhole(const BridgeConfig& config) {
  if (config.hairpin && config.promiscuous) return Invalid("hairpinMode and promiscMode cannot both be set");
  if (!config.ipam_type.empty() && config.disable_container_interface)
    return Invalid("disableContainerInterface cannot be set together with ipam");
  if (!config.ipam_type.empty() && !cni::IsSafeName(config.ipam_type))
    return Invalid(absl::StrCat("ipam.type: \"", config.ipam_type, "\" is not a plugin's file name"));
  if (!cni::IsSafeName(config.bridge) || config.bridge.size() > 15)
    return Invalid(absl::StrCat("bridge: \"", config.bridge, "\" is not an interface name"));
  if (const std::string gateway = absl::StrCat(config.bridge, ".", config.vlan);
      config.vlan != 0 && config.gateway && gateway.size() > 15)
    return Invalid(
        absl::StrCat("bridge: the interface ", gateway, ", that is to have the gateway, has too long a name"));
  if (config.mtu > 65535) return Invalid(absl::StrCat("mtu: ", config.mtu, " is more than 65535"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BridgeConfig> ReadBridgeConfig(const Call& call) {
  BridgeConfig out;
  ASSIGN_OR_RETURN(out.masquerade, ReadMasqueradeBackend(call));
  cni::Fields fields(call.document, "");
  fields.String("bridge", &out.bridge);
  fields.Bool("isGateway", &out.gateway);
  fields.Bool("isDefaultGateway", &out.default_gateway);
  fields.Bool("forceAddress", &out.force_address);
  fields.Bool("ipMasq", &out.ip_masq);
  fields.Number("mtu", &out.mtu);
  fields.Bool("hairpinMode", &out.hairpin);
  fields.Bool("promiscMode", &out.promiscuous);
  fields.Bool("portIsolation", &out.isolated);
  fields.Bool("macspoofchk", &out.mac_spoof_check);
  fields.Bool("enabledad", &out.detect_duplicates);
  fields.Bool("disableContainerInterface", &out.disable_container_interface);
  fields.Object("ipam", [&](const Json& ipam, const std::string& path) {
    cni::Fields nested(ipam, path);
    nested.String("type", &out.ipam_type);
    return nested.status();
  });
  fields.Object("dns", [&](const Json& dns, const std::string& path) {
    ASSIGN_OR_RETURN(out.dns, cni::ReadDns(dns, path));
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(ReadMac(call.document, call.arguments.mac, &out));
  RETURN_IF_ERROR(ReadVlans(call.document, &out));
  out.gateway |= out.default_gateway;
  RETURN_IF_ERROR(CheckWhole(out));
  return out;
}

}  // namespace wherry::plugins
