#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/cni/address.h"
#include "api/cni/config.h"

// Host ports by destination NAT, in a table of our own.
namespace wherry::nft {

struct PortMapping {
  uint16_t host_port = 0, container_port = 0;
  uint8_t protocol = 0;    // IPPROTO_TCP, _UDP, _SCTP
  cni::IpAddress host_ip;  // none: every address of the host; zero: every one of its family

  // Whether it is for addresses of this family.
  bool Serves(bool v4) const { return !host_ip.valid() || host_ip.is_v4() == v4; }
};

struct PortMap {
  std::vector<PortMapping> mappings;
  std::vector<cni::IpPrefix> addresses;  // of the container: one a family at most, with its network's length
  bool hide_near = true;  // snat: connections from the container's network and from loopback are masqueraded
  bool hide_all = false;  // masqAll: all are
};

// Replaces the attachment's rules by those for `map`, in one transaction.
absl::Status AddPortMap(const std::string& network, const cni::Attachment& attachment, const PortMap& map);
// OK when there is none.
absl::Status DeletePortMap(const std::string& network, const cni::Attachment& attachment);
// NotFound unless the attachment has as many rules as `map` makes.
absl::Status CheckPortMap(const std::string& network, const cni::Attachment& attachment, const PortMap& map);
// Deletes the rules of this network that belong to none of `valid`.
absl::Status CollectPortMaps(const std::string& network, const std::vector<cni::Attachment>& valid);

}  // namespace wherry::nft
