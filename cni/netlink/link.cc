#include "cni/netlink/link.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "cni/netlink/attributes.h"
#include "runtime/sys/status.h"

namespace wherry::netlink {
namespace {

// sysctl "arp_notify" in struct ipv4_devconf (linux/ip.h).
constexpr uint16_t kArpNotify = IPV4_DEVCONF_ARP_NOTIFY;

ifinfomsg* PutIfInfo(Batch& batch, int index = 0) {
  auto* info = static_cast<ifinfomsg*>(batch.PutHeader(sizeof(ifinfomsg)));
  info->ifi_index = index;
  return info;
}

// One queue each way. A veth hands a packet over within the sender's call and without a lock (NETIF_F_LLTX), but since Linux 5.15 has a
// queue for each CPU unless told otherwise, each with a directory in sysfs and an event for udev.
void PutOneQueue(nlmsghdr* message) {
  mnl_attr_put_u32(message, IFLA_NUM_TX_QUEUES, 1);
  mnl_attr_put_u32(message, IFLA_NUM_RX_QUEUES, 1);
}

void PutName(nlmsghdr* message, absl::string_view name) {
  mnl_attr_put_strz(message, IFLA_IFNAME, std::string(name).c_str());
}

void PutMac(nlmsghdr* message, const MacAddress& mac) { mnl_attr_put(message, IFLA_ADDRESS, mac.size(), mac.data()); }

void ParseKind(const nlattr* info, Link* link) {
  ForEachNested(info, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND) link->kind = std::string(GetText(attribute));
    if (mnl_attr_get_type(attribute) != IFLA_INFO_DATA || link->kind != "bridge") return;
    ForEachNested(attribute, [&](const nlattr* option) {
      if (mnl_attr_get_type(option) == IFLA_BR_VLAN_FILTERING) link->filters_vlans = Get<uint8_t>(option) != 0;
    });
  });
}

// IFLA_AF_SPEC holds, per family, the interface's sysctls as an array: reading them here spares files in /proc.
void ParseFamilies(const nlattr* families, Link* link) {
  ForEachNested(families, [&](const nlattr* family) {
    if (mnl_attr_get_type(family) != AF_INET6) return;
    ForEachNested(family, [&](const nlattr* attribute) {
      int32_t value = 0;
      if (mnl_attr_get_type(attribute) != IFLA_INET6_CONF) return;
      if (mnl_attr_get_payload_len(attribute) < (DEVCONF_ACCEPT_RA + 1) * sizeof(value)) return;
      const char* values = static_cast<const char*>(mnl_attr_get_payload(attribute));
      std::memcpy(&value, values + DEVCONF_ACCEPT_RA * sizeof(value), sizeof(value));
      link->accept_ra = value;
    });
  });
}

void ParseAttribute(const nlattr* attribute, Link* link) {
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
      link->name = std::string(GetText(attribute));
      break;
    case IFLA_IFALIAS:
      link->alias = std::string(GetText(attribute));
      break;
    case IFLA_ADDRESS: {
      MacAddress mac{};
      if (mnl_attr_get_payload_len(attribute) != mac.size()) break;
      std::memcpy(mac.data(), mnl_attr_get_payload(attribute), mac.size());
      link->mac = PrintMac(mac);
      break;
    }
    case IFLA_MTU:
      link->mtu = Get<uint32_t>(attribute);
      break;
    case IFLA_TXQLEN:
      link->queue_length = Get<uint32_t>(attribute);
      break;
    case IFLA_OPERSTATE:
      link->operstate = Get<uint8_t>(attribute);
      break;
    case IFLA_MASTER:
      link->master = static_cast<int>(Get<uint32_t>(attribute));
      break;
    case IFLA_LINK:
      link->peer = static_cast<int>(Get<uint32_t>(attribute));
      break;
    case IFLA_PROMISCUITY:
      link->promiscuity = Get<uint32_t>(attribute);
      break;
    case IFLA_LINKINFO:
      ParseKind(attribute, link);
      break;
    case IFLA_AF_SPEC:
      ParseFamilies(attribute, link);
      break;
    default:
      break;
  }
}

}  // namespace

bool Link::up() const { return (flags & IFF_UP) != 0; }

Link ParseLink(const nlmsghdr* message) {
  Link link;
  if (message->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(message) < sizeof(ifinfomsg)) return link;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.index = info->ifi_index;
  link.flags = info->ifi_flags;
  ForEachAttribute(message, sizeof(ifinfomsg), [&](const nlattr* attribute) { ParseAttribute(attribute, &link); });
  return link;
}

void PutGetLink(Batch& batch, absl::string_view name) {
  nlmsghdr* message = batch.Begin(RTM_GETLINK, 0, absl::StrCat("get link ", name));
  PutIfInfo(batch);
  PutName(message, name);
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

absl::StatusOr<Link> GetLink(Socket& socket, absl::string_view name) {
  Batch batch;
  PutGetLink(batch, name);
  Link link;
  RETURN_IF_ERROR(socket.Exchange(batch, [&](size_t, const nlmsghdr* message) { link = ParseLink(message); }));
  return link;
}

absl::StatusOr<Link> GetLink(Socket& socket, int index) {
  Batch batch;
  nlmsghdr* message = batch.Begin(RTM_GETLINK, 0, absl::StrCat("get link ", index));
  PutIfInfo(batch, index);
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  Link link;
  RETURN_IF_ERROR(socket.Exchange(batch, [&](size_t, const nlmsghdr* reply) { link = ParseLink(reply); }));
  return link;
}

absl::StatusOr<std::vector<Link>> ListLinks(Socket& socket) {
  Batch batch;
  nlmsghdr* message = batch.Begin(RTM_GETLINK, NLM_F_DUMP, "list links");
  PutIfInfo(batch);
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  std::vector<Link> out;
  RETURN_IF_ERROR(socket.Exchange(batch, [&](size_t, const nlmsghdr* reply) {
    if (reply->nlmsg_type == RTM_NEWLINK) out.push_back(ParseLink(reply));
  }));
  return out;
}

void PutNewIfb(Batch& batch, const std::string& name, uint32_t mtu) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, absl::StrCat("new ifb ", name));
  ifinfomsg* info = PutIfInfo(batch);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  PutName(message, name);
  if (mtu != 0) mnl_attr_put_u32(message, IFLA_MTU, mtu);
  nlattr* linkinfo = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_str(message, IFLA_INFO_KIND, "ifb");
  mnl_attr_nest_end(message, linkinfo);
}

void PutLinkAlias(Batch& batch, const std::string& name, const std::string& alias) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set alias of link ", name));
  PutIfInfo(batch);
  PutName(message, name);
  mnl_attr_put_strz(message, IFLA_IFALIAS, alias.c_str());
}

void PutNewBridge(Batch& batch, const std::string& name, const MacAddress& mac, uint32_t mtu, bool filters_vlans) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, absl::StrCat("new bridge ", name));
  ifinfomsg* info = PutIfInfo(batch);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  PutName(message, name);
  PutMac(message, mac);
  if (mtu != 0) mnl_attr_put_u32(message, IFLA_MTU, mtu);
  nlattr* linkinfo = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_str(message, IFLA_INFO_KIND, "bridge");
  if (filters_vlans) {  // a kernel without VLANs refuses "no", too
    nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u8(message, IFLA_BR_VLAN_FILTERING, 1);
    mnl_attr_nest_end(message, data);
  }
  mnl_attr_nest_end(message, linkinfo);
}

void PutNewVeth(Batch& batch, const VethPair& pair) {
  nlmsghdr* message =
      batch.Begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                  absl::StrCat("new veth pair ", pair.host_name, ", ", pair.container_name, " in the container"));
  ifinfomsg* info = PutIfInfo(batch);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  PutName(message, pair.host_name);
  PutMac(message, pair.host_mac);
  PutOneQueue(message);
  mnl_attr_put_u32(message, IFLA_MASTER, static_cast<uint32_t>(pair.master));
  if (pair.mtu != 0) mnl_attr_put_u32(message, IFLA_MTU, pair.mtu);
  nlattr* linkinfo = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_str(message, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  PutName(message, pair.container_name);
  PutMac(message, pair.container_mac);
  PutOneQueue(message);
  if (pair.mtu != 0) mnl_attr_put_u32(message, IFLA_MTU, pair.mtu);
  mnl_attr_put_u32(message, IFLA_NET_NS_FD, static_cast<uint32_t>(pair.netns));
  mnl_attr_nest_end(message, peer);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, linkinfo);
}

void PutLinkFlags(Batch& batch, int index, uint32_t set, uint32_t clear) {
  batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set flags of link ", index));
  ifinfomsg* info = PutIfInfo(batch, index);
  info->ifi_flags = set;
  info->ifi_change = set | clear;
}

void PutLinkUpAnnounced(Batch& batch, int index) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set up link ", index));
  ifinfomsg* info = PutIfInfo(batch, index);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
  nlattr* family = mnl_attr_nest_start(message, AF_INET);
  nlattr* settings = mnl_attr_nest_start(message, IFLA_INET_CONF);
  mnl_attr_put_u32(message, kArpNotify, 1);
  mnl_attr_nest_end(message, settings);
  mnl_attr_nest_end(message, family);
  mnl_attr_nest_end(message, families);
}

void PutLinkMtu(Batch& batch, int index, uint32_t mtu) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set MTU of link ", index, " to ", mtu));
  PutIfInfo(batch, index);
  mnl_attr_put_u32(message, IFLA_MTU, mtu);
}

void PutLinkQueueLength(Batch& batch, int index, uint32_t packets) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set transmit queue of link ", index, " to ", packets));
  PutIfInfo(batch, index);
  mnl_attr_put_u32(message, IFLA_TXQLEN, packets);
}

void PutLinkMac(Batch& batch, int index, absl::string_view mac) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set MAC address of link ", index));
  PutIfInfo(batch, index);
  if (absl::StatusOr<MacAddress> parsed = ParseMac(mac); parsed.ok()) PutMac(message, *parsed);
}

void PutPortOptions(Batch& batch, int index, bool hairpin, bool isolated) {
  nlmsghdr* message = batch.Begin(RTM_SETLINK, 0, absl::StrCat("set options of bridge port ", index));
  PutIfInfo(batch, index)->ifi_family = AF_BRIDGE;
  nlattr* port = mnl_attr_nest_start(message, IFLA_PROTINFO | NLA_F_NESTED);
  mnl_attr_put_u8(message, IFLA_BRPORT_MODE, hairpin ? 1 : 0);
  mnl_attr_put_u8(message, IFLA_BRPORT_ISOLATED, isolated ? 1 : 0);
  mnl_attr_nest_end(message, port);
}

void PutLinkDown(Batch& batch, absl::string_view name) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set down link ", name));
  PutIfInfo(batch)->ifi_change = IFF_UP;
  PutName(message, name);
}

void PutDeleteLink(Batch& batch, absl::string_view name) {
  nlmsghdr* message = batch.Begin(RTM_DELLINK, 0, absl::StrCat("delete link ", name));
  PutIfInfo(batch);
  PutName(message, name);
}

void PutLinkGroup(Batch& batch, int index, uint32_t group) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("set group of link ", index));
  PutIfInfo(batch, index);
  mnl_attr_put_u32(message, IFLA_GROUP, group);
}

void PutDeleteLinkGroup(Batch& batch, uint32_t group) {
  nlmsghdr* message = batch.Begin(RTM_DELLINK, 0, absl::StrCat("delete links of group ", group));
  PutIfInfo(batch);
  mnl_attr_put_u32(message, IFLA_GROUP, group);
}

}  // namespace wherry::netlink
