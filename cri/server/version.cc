#include "cri/config/config.h"
#include "cri/network/network.h"
#include "cri/server/runtime_service.h"

// What the kubelet asks before anything else, and again and again.
namespace wherry::server {

grpc::Status RuntimeService::Version(grpc::ServerContext*, const cri::VersionRequest*, cri::VersionResponse* response) {
  return edge_.Serve({"Version", Kind::kRead, ""}, [&] {
    response->set_version("0.1.0");  // of the kubelet's own API; it accepts no other
    response->set_runtime_name("wherry");
    response->set_runtime_version(WHERRY_VERSION);
    response->set_runtime_api_version("v1");
    return absl::OkStatus();
  });
}

// The kubelet takes its cgroup driver from here. 0 would mean systemd, so `linux` is always set.
grpc::Status RuntimeService::RuntimeConfig(grpc::ServerContext*, const cri::RuntimeConfigRequest*,
                                           cri::RuntimeConfigResponse* response) {
  return edge_.Serve({"RuntimeConfig", Kind::kRead, ""}, [&] {
    const bool systemd = backends_.config.cgroup_driver == config::CgroupDriver::kSystemd;
    response->mutable_linux()->set_cgroup_driver(systemd ? cri::SYSTEMD : cri::CGROUPFS);
    return absl::OkStatus();
  });
}

// Carries the node's pod CIDR, for plugins that ask for it (capability ipRanges). An empty one means that the node has none yet.
grpc::Status RuntimeService::UpdateRuntimeConfig(grpc::ServerContext*, const cri::UpdateRuntimeConfigRequest* request,
                                                 cri::UpdateRuntimeConfigResponse*) {
  return edge_.Serve({"UpdateRuntimeConfig", Kind::kChange, request->runtime_config().network_config().pod_cidr()},
                     [&] {
                       const std::string& cidrs = request->runtime_config().network_config().pod_cidr();
                       return cidrs.empty() ? absl::OkStatus() : backends_.network.SetPodCidrs(cidrs);
                     });
}

}  // namespace wherry::server
