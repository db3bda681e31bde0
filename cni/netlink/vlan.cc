#include "cni/netlink/vlan.h"

#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "cni/netlink/attributes.h"
#include "runtime/sys/status.h"

namespace wherry::netlink {
namespace {

constexpr size_t kRangesInMessage = 40;  // of two attributes of eight bytes each

void PutVlan(nlmsghdr* message, uint16_t vlan, unsigned flags) {
  const bridge_vlan_info info{.flags = static_cast<uint16_t>(flags), .vid = vlan};
  mnl_attr_put(message, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
}

void PutRange(nlmsghdr* message, const VlanRange& range) {
  const unsigned flags =
      (range.untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0U) | (range.native ? BRIDGE_VLAN_INFO_PVID : 0U);
  if (range.first == range.last) return PutVlan(message, range.first, flags);
  PutVlan(message, range.first, flags | BRIDGE_VLAN_INFO_RANGE_BEGIN);
  PutVlan(message, range.last, flags | BRIDGE_VLAN_INFO_RANGE_END);
}

void PutPortVlans(Batch& batch, uint16_t type, int port, const std::vector<VlanRange>& vlans) {
  for (size_t begin = 0; begin < vlans.size(); begin += kRangesInMessage) {
    nlmsghdr* message = batch.Begin(type, 0, absl::StrCat("set VLANs of bridge port ", port));
    auto* info = static_cast<ifinfomsg*>(batch.PutHeader(sizeof(ifinfomsg)));
    info->ifi_family = AF_BRIDGE;
    info->ifi_index = port;
    nlattr* spec = mnl_attr_nest_start(message, IFLA_AF_SPEC);
    for (size_t i = begin; i < std::min(vlans.size(), begin + kRangesInMessage); ++i) PutRange(message, vlans[i]);
    mnl_attr_nest_end(message, spec);
  }
}

// A range comes as two entries, of which the first says that it begins one.
void TakeVlan(const nlattr* attribute, uint16_t* begin, std::vector<VlanRange>* out) {
  bridge_vlan_info info{};
  if (mnl_attr_get_type(attribute) != IFLA_BRIDGE_VLAN_INFO) return;
  if (mnl_attr_get_payload_len(attribute) != sizeof(info)) return;
  std::memcpy(&info, mnl_attr_get_payload(attribute), sizeof(info));
  if ((info.flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) != 0) {
    *begin = info.vid;
    return;
  }
  const bool ends_range = (info.flags & BRIDGE_VLAN_INFO_RANGE_END) != 0;
  out->push_back({.first = ends_range ? *begin : info.vid,
                  .last = info.vid,
                  .untagged = (info.flags & BRIDGE_VLAN_INFO_UNTAGGED) != 0,
                  .native = (info.flags & BRIDGE_VLAN_INFO_PVID) != 0});
}

}  // namespace

void PutVlanFiltering(Batch& batch, int bridge) {
  nlmsghdr* message = batch.Begin(RTM_NEWLINK, 0, absl::StrCat("make bridge ", bridge, " filter VLANs"));
  static_cast<ifinfomsg*>(batch.PutHeader(sizeof(ifinfomsg)))->ifi_index = bridge;
  nlattr* linkinfo = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_str(message, IFLA_INFO_KIND, "bridge");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  mnl_attr_put_u8(message, IFLA_BR_VLAN_FILTERING, 1);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, linkinfo);
}

void PutAddPortVlans(Batch& batch, int port, const std::vector<VlanRange>& vlans) {
  PutPortVlans(batch, RTM_SETLINK, port, vlans);
}

void PutDeletePortVlans(Batch& batch, int port, const std::vector<VlanRange>& vlans) {
  PutPortVlans(batch, RTM_DELLINK, port, vlans);
}

absl::StatusOr<std::vector<VlanRange>> GetPortVlans(Socket& socket, int port) {
  Batch batch;
  nlmsghdr* message = batch.Begin(RTM_GETLINK, NLM_F_DUMP, "list VLANs of bridge ports");
  static_cast<ifinfomsg*>(batch.PutHeader(sizeof(ifinfomsg)))->ifi_family = AF_BRIDGE;
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
  std::vector<VlanRange> out;
  uint16_t begin = 0;
  RETURN_IF_ERROR(socket.Exchange(batch, [&](size_t, const nlmsghdr* reply) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(reply));
    if (reply->nlmsg_type != RTM_NEWLINK || info->ifi_index != port) return;
    ForEachAttribute(reply, sizeof(ifinfomsg), [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) != IFLA_AF_SPEC) return;
      ForEachNested(attribute, [&](const nlattr* vlan) { TakeVlan(vlan, &begin, &out); });
    });
  }));
  return out;
}

}  // namespace wherry::netlink
