// What a kernel may answer when it is asked for links, message after message. The input is copied to memory of just its size, so
// that a look beyond a message is found.
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cstdlib>
#include <cstring>

#include "cni/netlink/link.h"
#include "test/fuzz/target.h"

namespace {

std::string Reply(const char* kind) {
  std::string buffer(1024, '\0');
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = RTM_NEWLINK;
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  info->ifi_index = 3;
  mnl_attr_put_strz(message, IFLA_IFNAME, "veth0");
  mnl_attr_put_strz(message, IFLA_IFALIAS, "somebody's");
  mnl_attr_put(message, IFLA_ADDRESS, 6, "\2\0\0\0\0\1");
  for (uint16_t type : {IFLA_MTU, IFLA_TXQLEN, IFLA_MASTER, IFLA_LINK, IFLA_PROMISCUITY, IFLA_GROUP})
    mnl_attr_put_u32(message, type, 7);
  mnl_attr_put_u8(message, IFLA_OPERSTATE, 6);
  nlattr* linkinfo = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
  nlattr* options = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  mnl_attr_put_u8(message, IFLA_BR_VLAN_FILTERING, 1);
  mnl_attr_nest_end(message, options);
  mnl_attr_nest_end(message, linkinfo);
  nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
  nlattr* inet6 = mnl_attr_nest_start(message, AF_INET6);
  mnl_attr_put(message, IFLA_INET6_CONF, 128, std::string(128, '\1').data());
  mnl_attr_nest_end(message, inet6);
  mnl_attr_nest_end(message, families);
  buffer.resize(message->nlmsg_len);
  return buffer;
}

}  // namespace

std::vector<std::string> wherry::fuzz::Seeds() { return {Reply("veth"), Reply("bridge") + Reply("ifb")}; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<uint8_t> copy(data, data + size);
  int left = static_cast<int>(copy.size());
  const auto* message = reinterpret_cast<const nlmsghdr*>(copy.data());
  // libmnl takes a length beyond INT_MAX for a negative one, which fits.
  while (mnl_nlmsg_ok(message, left) && message->nlmsg_len <= static_cast<uint32_t>(left)) {
    const wherry::netlink::Link link = wherry::netlink::ParseLink(message);
    if (message->nlmsg_type != RTM_NEWLINK && link.index != 0) std::abort();
    message = mnl_nlmsg_next(message, &left);
  }
  return 0;
}
