#include "cni/plugins/bridge.h"

#include <optional>

#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "cni/nft/masquerade.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/plugin.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

// The host's end goes with the container's. A namespace that is gone took both with it. To delete a link, RTM_DELLINK waits
// for all callbacks of RCU (netdev_run_todo, rcu_barrier): 15 ms on an idle machine, hundreds on a busy one. So an interface
// whose namespace is about to be destroyed is only set down, which takes 0.1 ms: from then on nobody answers for its
// addresses, and the kernel deletes the pair together with the namespace, in the background.
absl::Status DeleteInterface(const Call& call) {
  ASSIGN_OR_RETURN(std::optional<Namespaces> namespaces, Namespaces::OpenIfPresent(call.netns));
  if (!namespaces) return absl::OkStatus();
  ASSIGN_OR_RETURN(netlink::Socket container, namespaces->OpenSocket());
  netlink::Batch batch;
  if (call.netns_ends) {
    netlink::PutLinkDown(batch, call.attachment.ifname);
  } else {
    netlink::PutDeleteLink(batch, call.attachment.ifname);
  }
  absl::Status status = container.Exchange(batch);
  return sys::IsErrno(status, ENODEV) ? absl::OkStatus() : status;
}

absl::Status WithIpam(const Call& call, absl::Status (*act)(const ipam::Request&)) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  return config.ipam_type.empty() ? absl::OkStatus() : act(IpamRequest(call, config));
}

absl::Status BridgeStatus(const Call& call) { return WithIpam(call, ipam::Status); }

absl::Status BridgeGc(const Call& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> valid, ipam::ValidAttachments(call.document));
  absl::Status status = WithIpam(call, ipam::Collect);
  if (config.ip_masq) status.Update(nft::CollectMasquerade(call.network, valid));
  return status;
}

}  // namespace

ipam::Request IpamRequest(const Call& call, const BridgeConfig& config) {
  return {config.ipam_type, call.document, call.input, call.attachment, call.arguments.ipam, call.path};
}

absl::Status BridgeDel(const Call& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  RETURN_IF_ERROR(DeleteInterface(call));
  // The rule before the address: the next holder of the address must not find the rule of the last.
  if (config.ip_masq) RETURN_IF_ERROR_CTX(nft::DeleteMasquerade(call.network, call.attachment), "ipMasq");
  return WithIpam(call, ipam::Delete);
}

const Plugin kBridge = {"bridge", BridgeAdd, BridgeDel, BridgeCheck, BridgeStatus, BridgeGc};

}  // namespace wherry::plugins
