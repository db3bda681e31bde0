#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Hardware addresses. We choose those of the links we make, instead of asking the kernel afterwards what it chose:
// that saves a round trip, and an address given at creation is marked as set, so that a bridge keeps it when ports come
// and go and udev's MACAddressPolicy leaves it alone.
namespace wherry::netlink {

using MacAddress = std::array<uint8_t, 6>;

// Locally administered, unicast, from getrandom(2).
MacAddress RandomMac();
// "02:00:00:00:00:01"; InvalidArgument otherwise, and for multicast and zero addresses.
absl::StatusOr<MacAddress> ParseMac(absl::string_view text);
std::string PrintMac(const MacAddress& mac);

}  // namespace wherry::netlink
