#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/cni/result.h"
#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"

// The container's end of a veth pair: what main plugins set there for what IPAM gave, and how CHECK finds it again.
namespace wherry::plugins {

// IPv6 sysctls of the interface. Call in the container's namespace and before the interface goes up, because its link-local address
// would be probed for duplicates from then on.
absl::Status SetContainerSysctls(const std::string& ifname, bool detect_duplicates, const cni::Result& result);

// The result's routes. One without a next hop gets the first gateway of its family. The same route twice (a default route in the
// configuration and one of isDefaultGateway) is one.
std::vector<cni::Route> CompleteRoutes(const cni::Result& result);

// For CHECK: the interface of a result, or null; the link of that name, kind and (unless empty) MAC address.
const cni::Interface* FindInterface(const cni::Result& result, const std::string& name, const std::string& sandbox);
absl::StatusOr<netlink::Link> ExistingLink(netlink::Socket& socket, const std::string& name, const std::string& kind,
                                           const std::string& mac);
// All of the result's addresses that are this interface's must be there.
absl::Status CheckAddresses(netlink::Socket& container, const netlink::Link& inside, const cni::Result& result);
// By destination and, where one was said, next hop, out of any interface: a later plugin may have moved a route.
absl::Status CheckRoutes(netlink::Socket& container, const cni::Result& result);
// "check: TEXT"
absl::Status CheckFailed(absl::string_view text);

}  // namespace wherry::plugins
