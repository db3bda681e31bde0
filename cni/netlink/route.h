#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/result.h"
#include "cni/netlink/batch.h"
#include "cni/netlink/socket.h"

// Routes (rtnetlink(7), RTM_*ROUTE).
namespace wherry::netlink {

// A unicast route through interface `index`; without a gateway the destination is on the link. EEXIST when there is one
// with the same destination, priority and next hop.
void PutNewRoute(Batch& batch, int index, const cni::Route& route);

// The name of the interface that packets to `address` leave by.
absl::StatusOr<std::string> LinkTo(Socket& socket, const cni::IpAddress& address);

// The routes of both families, in all tables.
absl::StatusOr<std::vector<cni::Route>> GetRoutes(Socket& socket);

}  // namespace wherry::netlink
