#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/result.h"
#include "cni/netlink/mac.h"
#include "cni/netlink/vlan.h"
#include "cni/plugins/call.h"
#include "cni/plugins/masquerade.h"

namespace wherry::plugins {

// The bridge plugin's part of a network configuration; names and defaults are the reference plugin's.
struct BridgeConfig {
  std::string bridge = "cni0";
  bool gateway = false;          // isGateway: the bridge gets the gateway's addresses, the host forwards
  bool default_gateway = false;  // isDefaultGateway: and the container a default route; implies gateway
  bool force_address = false;    // replace addresses of the bridge that are in the way
  bool ip_masq = false;          // ipMasq: the container's addresses hide behind the host's outside their subnet
  MasqueradeBackend masquerade = MasqueradeBackend::kNftables;  // ipMasqBackend
  uint32_t mtu = 0;
  bool hairpin = false, promiscuous = false, isolated = false;
  bool detect_duplicates = false;              // enabledad
  bool disable_container_interface = false;    // the container's end stays down; no addresses
  uint16_t vlan = 0;                           // native VLAN of the container's port; 0: none
  std::vector<netlink::VlanRange> vlan_trunk;  // VLANs that come with tags; ascending, none twice
  bool filters_vlans = false;                  // vlan, or vlanTrunk even if empty
  bool mac_spoof_check = false;                // macspoofchk: frames from the container's own MAC address only
  bool preserve_default_vlan = false;          // preserveDefaultVlan: the port stays in the bridge's default VLAN
  std::optional<netlink::MacAddress> mac;      // of the container's end
  std::string ipam_type;                       // empty: layer 2 only
  cni::Dns dns;                                // set: goes before what IPAM says
};

// InvalidConfig (7) for what is wrong or contradicts itself; UnsupportedField (2) for another ipMasqBackend than ours.
absl::StatusOr<BridgeConfig> ReadBridgeConfig(const Call& call);

}  // namespace wherry::plugins
