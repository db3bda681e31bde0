#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cni/netlink/batch.h"
#include "cni/netlink/mac.h"
#include "cni/netlink/socket.h"

struct nlmsghdr;

// Network interfaces (rtnetlink(7), RTM_*LINK). The functions put one message into a batch; the caller sends it.
namespace wherry::netlink {

struct Link {
  int index = 0;
  std::string name, kind, mac;  // kind: "bridge", "veth"; mac as text
  std::string alias;
  uint32_t flags = 0;  // IFF_*
  uint32_t mtu = 0;
  uint32_t queue_length = 0;  // packets that wait to be sent
  uint8_t operstate = 0;      // IF_OPER_*
  int master = 0;             // index of the bridge this is a port of
  int peer = 0;               // of a veth: the other end's index, in its own namespace
  uint32_t promiscuity = 0;
  bool filters_vlans = false;        // of a bridge
  std::optional<int32_t> accept_ra;  // IPv6 sysctls; none when the kernel has no IPv6

  bool up() const;
};

// From an RTM_NEWLINK message.
Link ParseLink(const nlmsghdr* message);

void PutGetLink(Batch& batch, absl::string_view name);
// NotFound (ENODEV) when there is none.
absl::StatusOr<Link> GetLink(Socket& socket, absl::string_view name);

absl::StatusOr<Link> GetLink(Socket& socket, int index);
absl::StatusOr<std::vector<Link>> ListLinks(Socket& socket);

// An ifb, up.
void PutNewIfb(Batch& batch, const std::string& name, uint32_t mtu);
// Free text beside the name. The kernel does not take it at a link's creation.
void PutLinkAlias(Batch& batch, const std::string& name, const std::string& alias);

// A bridge, up. `mtu` 0: the kernel's default. Fails with EEXIST when the name is taken.
void PutNewBridge(Batch& batch, const std::string& name, const MacAddress& mac, uint32_t mtu, bool filters_vlans);

// A veth pair of which one end is born in another network namespace.
struct VethPair {
  std::string host_name;
  MacAddress host_mac{};
  int master = 0;  // the bridge to be a port of
  std::string container_name;
  MacAddress container_mac{};
  int netns = -1;    // file descriptor of the container's namespace
  uint32_t mtu = 0;  // 0: the kernel's default
};
// The host end is up and a port of the bridge at once; the other end is down (a veth cannot be opened before its peer
// exists). EEXIST when either name is taken in its namespace.
void PutNewVeth(Batch& batch, const VethPair& pair);

// Sets and clears IFF_* flags.
void PutLinkFlags(Batch& batch, int index, uint32_t set, uint32_t clear = 0);
// Up, and net.ipv4.conf.*.arp_notify on, which this message can set without a visit to /proc.
void PutLinkUpAnnounced(Batch& batch, int index);
void PutLinkMtu(Batch& batch, int index, uint32_t mtu);
void PutLinkQueueLength(Batch& batch, int index, uint32_t packets);
void PutLinkMac(Batch& batch, int index, absl::string_view mac);
// Options of a bridge port: hairpin, isolated from other isolated ports.
void PutPortOptions(Batch& batch, int index, bool hairpin, bool isolated);
void PutLinkDown(Batch& batch, absl::string_view name);
void PutDeleteLink(Batch& batch, absl::string_view name);

// Links that belong to a network namespace which is about to end, and are to be deleted if it does not: the number is "wher" in
// ASCII. Groups are the kernel's (ip-link(8), `group`); one message deletes all members.
constexpr uint32_t kEndingGroup = 0x77686572;
void PutLinkGroup(Batch& batch, int index, uint32_t group);
// ENODEV when there is none.
void PutDeleteLinkGroup(Batch& batch, uint32_t group);

}  // namespace wherry::netlink
