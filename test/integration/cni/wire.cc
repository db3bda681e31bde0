#include "test/integration/cni/wire.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "cni/netlink/mac.h"
#include "gtest/gtest.h"

namespace wherry::cni_test {
namespace {

constexpr uint16_t kExperimental = 0x88b5;  // IEEE 802 local experimental ethertype
constexpr char kInterface[] = "eth0";

// The kernel strips a tag and tells it beside the frame.
uint16_t TagOf(const msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(const_cast<msghdr*>(&message), control)) {
    if (control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata data{};
    std::memcpy(&data, CMSG_DATA(control), sizeof(data));
    if ((data.tp_status & TP_STATUS_VLAN_VALID) != 0) return data.tp_vlan_tci & 0xfff;
  }
  return 0;
}

}  // namespace

Wire::Wire() : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  const int on = 1;
  const timeval limit{5, 0};
  EXPECT_EQ(setsockopt(socket_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
  EXPECT_EQ(setsockopt(socket_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
  EXPECT_EQ(setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(kInterface));
  EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
  ifreq request{};
  std::strncpy(request.ifr_name, kInterface, IFNAMSIZ - 1);
  EXPECT_EQ(ioctl(socket_.get(), SIOCGIFHWADDR, &request), 0);
  std::memcpy(mac_.data(), request.ifr_hwaddr.sa_data, mac_.size());
}

void Wire::Send(char letter, uint16_t vlan, const std::string& source) const {
  const netlink::MacAddress from = source.empty() ? mac_ : netlink::ParseMac(source).value();
  std::string frame(ETH_ALEN, '\xff');
  const auto append = [&frame](uint16_t value) { frame += {static_cast<char>(value >> 8), static_cast<char>(value)}; };
  frame.append(from.begin(), from.end());
  if (vlan != 0) {
    append(ETHERTYPE_VLAN);
    append(vlan);
  }
  append(kExperimental);
  frame.append(46, letter);
  EXPECT_EQ(send(socket_.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size())) << strerror(errno);
}

std::string Wire::Receive() const {
  while (true) {
    std::array<uint8_t, 2048> frame{};
    std::array<char, 256> control{};
    iovec data{frame.data(), frame.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t bytes = recvmsg(socket_.get(), &message, 0);
    if (bytes < 0) return "";
    const uint16_t type = static_cast<uint16_t>(frame[12] << 8 | frame[13]);
    if (bytes < 15 || type != kExperimental) continue;
    const uint16_t tag = TagOf(message);
    const std::string letter(1, static_cast<char>(frame[14]));
    return tag == 0 ? letter : letter + "@" + std::to_string(tag);
  }
}

}  // namespace wherry::cni_test
