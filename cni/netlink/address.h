#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/address.h"
#include "cni/netlink/batch.h"
#include "cni/netlink/socket.h"

// IP addresses of interfaces (rtnetlink(7), RTM_*ADDR).
namespace wherry::netlink {

// Adds `address` to the interface; EEXIST when it has it. IPv6 duplicate address detection would keep an address unusable
// for a second; `detect_duplicates` false leaves it out for this address (IFA_F_NODAD).
void PutNewAddress(Batch& batch, int index, const cni::IpPrefix& address, bool detect_duplicates);
// The same without duplicate address detection and without the route to the address's network that the kernel makes
// otherwise (IFA_F_NOPREFIXROUTE; for IPv4 from 4.18 on).
void PutNewAddressAlone(Batch& batch, int index, const cni::IpPrefix& address);
void PutDeleteAddress(Batch& batch, int index, const cni::IpPrefix& address);

// All addresses of one interface, both families. One round trip.
absl::StatusOr<std::vector<cni::IpPrefix>> GetAddresses(Socket& socket, int index);

// Of the interface's IPv6 addresses, one that is still looked for elsewhere, and one that was found there; empty when there is none.
struct Detection {
  std::string pending, duplicate;
};
absl::StatusOr<Detection> GetDetection(Socket& socket, int index);

}  // namespace wherry::netlink
