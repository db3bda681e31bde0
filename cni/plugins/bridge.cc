#include "cni/plugins/bridge.h"

#include "cni/nft/mac_spoof.h"
#include "cni/plugins/masquerade.h"
#include "cni/plugins/plugin.h"
#include "cni/plugins/veth.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

absl::Status WithIpam(const Call& call, absl::Status (*act)(const ipam::Request&)) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  return config.ipam_type.empty() ? absl::OkStatus() : act(IpamRequest(call, config));
}

absl::Status BridgeStatus(const Call& call) { return WithIpam(call, ipam::Status); }

absl::Status BridgeRead(const Call& call) { return ReadBridgeConfig(call).status(); }

absl::Status BridgeGc(const Call& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> valid, ipam::ValidAttachments(call.document));
  absl::Status status = WithIpam(call, ipam::Collect);
  if (config.ip_masq) status.Update(CollectMasquerade(config.masquerade, call, valid));
  if (config.mac_spoof_check) status.Update(nft::CollectMacSpoofChecks(call.network, valid));
  return status;
}

}  // namespace

ipam::Request IpamRequest(const Call& call, const BridgeConfig& config) {
  return {config.ipam_type, call.document, call.input, call.attachment, call.arguments.ipam, call.path};
}

absl::Status BridgeDel(const Call& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ReadBridgeConfig(call));
  RETURN_IF_ERROR(DeleteVeth(call));
  WHERRY_FAIL_POINT("bridge.veth_gone");
  if (config.mac_spoof_check) RETURN_IF_ERROR_CTX(nft::DeleteMacSpoofCheck(call.attachment), "macspoofchk");
  // The rule before the address: the next holder of the address must not find the rule of the last.
  if (config.ip_masq) RETURN_IF_ERROR(DeleteMasquerade(config.masquerade, call));
  WHERRY_FAIL_POINT("bridge.release");
  return WithIpam(call, ipam::Delete);
}

const Plugin kBridge = {"bridge", BridgeAdd, BridgeDel, BridgeCheck, BridgeStatus, BridgeGc, BridgeRead};

}  // namespace wherry::plugins
