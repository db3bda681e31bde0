#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "api/cni/config.h"
#include "cni/netlink/link.h"
#include "cni/netlink/mac.h"
#include "cni/netlink/socket.h"
#include "cni/plugins/call.h"

// The veth pair that connects a container with the host: one end is CNI_IFNAME in the container, the other's name derives from the
// attachment.
namespace wherry::plugins {

struct VethOptions {
  uint32_t mtu = 0;                        // 0: the kernel's default
  std::optional<netlink::MacAddress> mac;  // of the container's end
  const netlink::Link* bridge = nullptr;   // the host's end becomes a port of it
};
struct Veth {
  netlink::Link host;
  netlink::Link bridge;  // read again: a port may have changed its MAC address
  std::string container_mac;
  int container_index() const { return host.peer; }
};
// Makes the pair; `netns` and `container` are the container's namespace. The host's end is up, the container's is not.
// InvalidEnvironment (4) when the container has an interface of that name already.
absl::StatusOr<Veth> MakeVeth(netlink::Socket& host, netlink::Socket& container, int netns,
                              const cni::Attachment& attachment, const VethOptions& options);

// For DEL: gets rid of the container's interface, and so of both. OK when there is none, or no namespace.
absl::Status DeleteVeth(const Call& call);

// For an ADD that fails.
absl::Status DeleteHostEnd(const std::string& name);

// The kernel lets packets through a pair some time after its second end is up (netlink/wait.h); an ADD waits so long for it.
inline constexpr int kLinkUpMilliseconds = 2500;

// "veth" and eight hex digits; `attempt` gives another name after a collision.
std::string HostVethName(const cni::Attachment& attachment, unsigned attempt);

}  // namespace wherry::plugins
