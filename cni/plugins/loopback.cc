#include <net/if.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/netlink/address.h"
#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/plugin.h"
#include "runtime/sys/status.h"

// loopback: brings "lo" up in the container's namespace, whatever CNI_IFNAME says. The kernel gives it its addresses.
namespace wherry::plugins {
namespace {

constexpr char kName[] = "lo";

absl::StatusOr<netlink::Link> SetUp(netlink::Socket& socket, bool up) {
  ASSIGN_OR_RETURN(netlink::Link link, netlink::GetLink(socket, kName));
  if (link.up() == up) return link;
  netlink::Batch batch;
  netlink::PutLinkFlags(batch, link.index, up ? IFF_UP : 0, up ? 0 : IFF_UP);
  RETURN_IF_ERROR(socket.Exchange(batch));
  return link;
}

absl::StatusOr<cni::Result> Add(const Call& call) {
  ASSIGN_OR_RETURN(Namespaces namespaces, Namespaces::Open(call.netns));
  ASSIGN_OR_RETURN(netlink::Socket socket, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(netlink::Link link, SetUp(socket, true));
  ASSIGN_OR_RETURN(std::vector<cni::IpPrefix> addresses, netlink::GetAddresses(socket, link.index));
  // In a chain the result of the plugins before goes through as it is.
  if (auto previous = call.document.find("prevResult"); previous != call.document.end() && !previous->is_null()) {
    ASSIGN_OR_RETURN_CTX(cni::Result result, cni::ReadResult(*previous, call.version), "prevResult");
    return result;
  }
  cni::Result result;
  result.interfaces = {{.name = kName, .mac = "00:00:00:00:00:00", .sandbox = call.netns}};
  for (const cni::IpPrefix& address : addresses) {
    if (!address.address.IsLoopback())
      return cni::MakeError(cni::ErrorCode::kInternal, absl::StrCat("lo has the address ", address.ToString()));
    result.ips.push_back({0, address, {}});
  }
  return result;
}

absl::Status Del(const Call& call) {
  ASSIGN_OR_RETURN(std::optional<Namespaces> namespaces, Namespaces::OpenIfPresent(call.netns));
  if (!namespaces) return absl::OkStatus();
  ASSIGN_OR_RETURN(netlink::Socket socket, namespaces->OpenSocket());
  return SetUp(socket, false).status();
}

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(Namespaces namespaces, Namespaces::Open(call.netns));
  ASSIGN_OR_RETURN(netlink::Socket socket, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(netlink::Link link, netlink::GetLink(socket, kName));
  return link.up() ? absl::OkStatus() : cni::MakeError(cni::ErrorCode::kInternal, "check: lo is down");
}

absl::Status Nothing(const Call&) { return absl::OkStatus(); }

}  // namespace

const Plugin kLoopback = {"loopback", Add, Del, Check, Nothing, Nothing, Nothing};

}  // namespace wherry::plugins
