#include "absl/strings/str_cat.h"
#include "cri/pod/service.h"
#include "cri/server/runtime_service.h"
#include "runtime/sys/status.h"

namespace wherry::server {
namespace {

std::string NameOf(const cri::PodSandboxMetadata& metadata) {
  return absl::StrCat(metadata.namespace_(), "/", metadata.name(), " uid=", metadata.uid(),
                      " attempt=", metadata.attempt());
}

}  // namespace

grpc::Status RuntimeService::RunPodSandbox(grpc::ServerContext*, const cri::RunPodSandboxRequest* request,
                                           cri::RunPodSandboxResponse* response) {
  const std::string name = NameOf(request->config().metadata());
  return edge_.Serve({"RunPodSandbox", Kind::kChange, name}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*response->mutable_pod_sandbox_id(), backends_.pods.Run(*request));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::StopPodSandbox(grpc::ServerContext*, const cri::StopPodSandboxRequest* request,
                                            cri::StopPodSandboxResponse*) {
  return edge_.Serve({"StopPodSandbox", Kind::kChange, request->pod_sandbox_id()},
                     [&] { return backends_.pods.Stop(request->pod_sandbox_id()); });
}

grpc::Status RuntimeService::RemovePodSandbox(grpc::ServerContext*, const cri::RemovePodSandboxRequest* request,
                                              cri::RemovePodSandboxResponse*) {
  return edge_.Serve({"RemovePodSandbox", Kind::kChange, request->pod_sandbox_id()},
                     [&] { return backends_.pods.Remove(request->pod_sandbox_id()); });
}

grpc::Status RuntimeService::PodSandboxStatus(grpc::ServerContext*, const cri::PodSandboxStatusRequest* request,
                                              cri::PodSandboxStatusResponse* response) {
  return edge_.Serve({"PodSandboxStatus", Kind::kRead, request->pod_sandbox_id()}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*response, backends_.pods.Status(request->pod_sandbox_id(), request->verbose()));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ListPodSandbox(grpc::ServerContext*, const cri::ListPodSandboxRequest* request,
                                            cri::ListPodSandboxResponse* response) {
  return edge_.Serve({"ListPodSandbox", Kind::kRead, ""}, [&] {
    for (cri::PodSandbox& pod : backends_.pods.List(request->filter())) *response->add_items() = std::move(pod);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::UpdatePodSandboxResources(grpc::ServerContext*,
                                                       const cri::UpdatePodSandboxResourcesRequest* request,
                                                       cri::UpdatePodSandboxResourcesResponse*) {
  return edge_.Serve({"UpdatePodSandboxResources", Kind::kChange, request->pod_sandbox_id()},
                     [&] { return backends_.pods.UpdateResources(*request); });
}

}  // namespace wherry::server
