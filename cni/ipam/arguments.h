#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/cni/address.h"

namespace wherry::ipam {

// An address that somebody asks for: "10.1.0.5" or "10.1.0.5/24". IPAM with ranges of its own does not need the length, IPAM
// without them does.
struct RequestedAddress {
  cni::IpAddress address;
  std::optional<uint8_t> length;
};
// InvalidArgument unless `text` has one of the two forms.
absl::StatusOr<RequestedAddress> ParseRequestedAddress(absl::string_view text);

// What CNI_ARGS say about addresses: "IP=" and "GATEWAY=", each a list separated by commas.
struct Arguments {
  std::vector<RequestedAddress> ips;
  std::vector<cni::IpAddress> gateways;
};

}  // namespace wherry::ipam
