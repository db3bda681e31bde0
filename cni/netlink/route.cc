#include "cni/netlink/route.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "cni/netlink/attributes.h"
#include "runtime/sys/status.h"

namespace wherry::netlink {
namespace {

void PutMetrics(nlmsghdr* message, const cni::Route& route) {
  if (route.mtu == 0 && route.advmss == 0) return;
  nlattr* metrics = mnl_attr_nest_start(message, RTA_METRICS);
  if (route.mtu != 0) mnl_attr_put_u32(message, RTAX_MTU, route.mtu);
  if (route.advmss != 0) mnl_attr_put_u32(message, RTAX_ADVMSS, route.advmss);
  mnl_attr_nest_end(message, metrics);
}

cni::Route ParseRoute(const nlmsghdr* message) {
  cni::Route out;
  const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  out.table = header->rtm_table;
  out.scope = header->rtm_scope;
  out.dst.length = header->rtm_dst_len;
  const std::array<uint8_t, 16> zero{};
  out.dst.address = cni::IpAddress::FromBytes(zero.data(), header->rtm_family == AF_INET ? 4 : 16);
  ForEachAttribute(message, sizeof(rtmsg), [&](const nlattr* attribute) {
    const void* payload = mnl_attr_get_payload(attribute);
    const size_t size = mnl_attr_get_payload_len(attribute);
    const int type = mnl_attr_get_type(attribute);
    if (type == RTA_DST) out.dst.address = cni::IpAddress::FromBytes(payload, size);
    if (type == RTA_GATEWAY) out.gw = cni::IpAddress::FromBytes(payload, size);
    if (type == RTA_PRIORITY) out.priority = Get<uint32_t>(attribute);
    if (type == RTA_TABLE) out.table = Get<uint32_t>(attribute);
  });
  return out;
}

}  // namespace

void PutNewRoute(Batch& batch, int index, const cni::Route& route) {
  const std::string via = route.gw.valid() ? absl::StrCat(" via ", route.gw.ToString()) : "";
  nlmsghdr* message = batch.Begin(RTM_NEWROUTE, NLM_F_CREATE,
                                  absl::StrCat("add route ", route.dst.ToString(), via, " by link ", index));
  const cni::IpAddress dst = route.dst.Network();
  auto* header = static_cast<rtmsg*>(batch.PutHeader(sizeof(rtmsg)));
  header->rtm_family = static_cast<uint8_t>(dst.family());
  header->rtm_dst_len = route.dst.length;
  header->rtm_table = RT_TABLE_MAIN;
  header->rtm_protocol = RTPROT_BOOT;
  header->rtm_type = RTN_UNICAST;
  header->rtm_scope = route.scope ? static_cast<uint8_t>(*route.scope)
                                  : static_cast<uint8_t>(route.gw.valid() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  mnl_attr_put(message, RTA_DST, dst.size(), dst.data());
  if (route.gw.valid()) mnl_attr_put(message, RTA_GATEWAY, route.gw.size(), route.gw.data());
  mnl_attr_put_u32(message, RTA_OIF, static_cast<uint32_t>(index));
  if (route.priority != 0) mnl_attr_put_u32(message, RTA_PRIORITY, route.priority);
  if (route.table) {
    header->rtm_table = RT_TABLE_UNSPEC;  // numbers above 255 fit into the attribute only
    mnl_attr_put_u32(message, RTA_TABLE, *route.table);
  }
  PutMetrics(message, route);
}

absl::StatusOr<std::string> LinkTo(Socket& socket, const cni::IpAddress& address) {
  Batch batch;
  const std::string what = absl::StrCat("find the route to ", address.ToString());
  nlmsghdr* message = batch.Begin(RTM_GETROUTE, 0, what);
  auto* header = static_cast<rtmsg*>(batch.PutHeader(sizeof(rtmsg)));
  header->rtm_family = static_cast<uint8_t>(address.family());
  header->rtm_dst_len = static_cast<uint8_t>(8 * address.size());
  mnl_attr_put(message, RTA_DST, address.size(), address.data());
  uint32_t index = 0;
  RETURN_IF_ERROR(socket.Exchange(batch, [&](size_t, const nlmsghdr* reply) {
    if (reply->nlmsg_type != RTM_NEWROUTE) return;
    ForEachAttribute(reply, sizeof(rtmsg), [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) == RTA_OIF) index = Get<uint32_t>(attribute);
    });
  }));
  std::array<char, IF_NAMESIZE> name{};
  if (if_indextoname(index, name.data()) == nullptr) return sys::Errno(what);
  return std::string(name.data());
}

absl::StatusOr<std::vector<cni::Route>> GetRoutes(Socket& socket) {
  std::vector<cni::Route> out;
  for (const int family : {AF_INET, AF_INET6}) {
    Batch batch;
    batch.Begin(RTM_GETROUTE, NLM_F_DUMP, "list routes");
    static_cast<rtmsg*>(batch.PutHeader(sizeof(rtmsg)))->rtm_family = static_cast<uint8_t>(family);
    RETURN_IF_ERROR(socket.Exchange(batch, [&](size_t, const nlmsghdr* reply) {
      if (reply->nlmsg_type == RTM_NEWROUTE) out.push_back(ParseRoute(reply));
    }));
  }
  return out;
}

}  // namespace wherry::netlink
