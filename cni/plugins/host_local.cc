#include "cni/ipam/host_local.h"

#include "cni/ipam/host_local_config.h"
#include "cni/ipam/ipam.h"
#include "cni/plugins/plugin.h"
#include "runtime/sys/status.h"

// host-local as a program of its own, for other main plugins that run it from CNI_PATH.
namespace wherry::plugins {
namespace {

absl::StatusOr<ipam::HostLocalConfig> Config(const Call& call) {
  return ipam::ReadHostLocalConfig(call.document, call.arguments.ipam);
}

absl::StatusOr<cni::Result> Add(const Call& call) {
  ASSIGN_OR_RETURN(ipam::HostLocalConfig config, Config(call));
  return ipam::Allocate(config, call.attachment);
}

absl::Status Del(const Call& call) {
  ASSIGN_OR_RETURN(ipam::HostLocalConfig config, Config(call));
  return ipam::Release(config, call.attachment);
}

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(ipam::HostLocalConfig config, Config(call));
  return ipam::Check(config, call.attachment);
}

absl::Status Status(const Call& call) {
  ASSIGN_OR_RETURN(ipam::HostLocalConfig config, Config(call));
  return ipam::Ready(config);
}

absl::Status Gc(const Call& call) {
  ASSIGN_OR_RETURN(ipam::HostLocalConfig config, Config(call));
  ASSIGN_OR_RETURN(std::vector<cni::Attachment> valid, ipam::ValidAttachments(call.document));
  return ipam::Collect(config, valid);
}

absl::Status Read(const Call& call) { return Config(call).status(); }

}  // namespace

const Plugin kHostLocal = {"host-local", Add, Del, Check, Status, Gc, Read};

}  // namespace wherry::plugins
