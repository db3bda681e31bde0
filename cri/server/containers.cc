#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cri/container/service.h"
#include "cri/server/runtime_service.h"
#include "runtime/sys/status.h"

namespace wherry::server {

grpc::Status RuntimeService::CreateContainer(grpc::ServerContext*, const cri::CreateContainerRequest* request,
                                             cri::CreateContainerResponse* response) {
  const cri::ContainerMetadata& metadata = request->config().metadata();
  const std::string name =
      absl::StrCat(metadata.name(), " attempt=", metadata.attempt(), " pod=", request->pod_sandbox_id());
  return edge_.Serve({"CreateContainer", Kind::kChange, name}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*response->mutable_container_id(), backends_.containers.Create(*request));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::StartContainer(grpc::ServerContext*, const cri::StartContainerRequest* request,
                                            cri::StartContainerResponse*) {
  return edge_.Serve({"StartContainer", Kind::kChange, request->container_id()},
                     [&] { return backends_.containers.Start(request->container_id()); });
}

grpc::Status RuntimeService::StopContainer(grpc::ServerContext*, const cri::StopContainerRequest* request,
                                           cri::StopContainerResponse*) {
  return edge_.Serve({"StopContainer", Kind::kChange, request->container_id()}, [&] {
    return backends_.containers.Stop(request->container_id(), absl::Seconds(std::max<int64_t>(0, request->timeout())));
  });
}

grpc::Status RuntimeService::RemoveContainer(grpc::ServerContext*, const cri::RemoveContainerRequest* request,
                                             cri::RemoveContainerResponse*) {
  return edge_.Serve({"RemoveContainer", Kind::kChange, request->container_id()},
                     [&] { return backends_.containers.Remove(request->container_id()); });
}

grpc::Status RuntimeService::ContainerStatus(grpc::ServerContext*, const cri::ContainerStatusRequest* request,
                                             cri::ContainerStatusResponse* response) {
  return edge_.Serve({"ContainerStatus", Kind::kRead, request->container_id()}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*response, backends_.containers.Status(request->container_id(), request->verbose()));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ListContainers(grpc::ServerContext*, const cri::ListContainersRequest* request,
                                            cri::ListContainersResponse* response) {
  return edge_.Serve({"ListContainers", Kind::kRead, ""}, [&] {
    for (cri::Container& container : backends_.containers.List(request->filter()))
      *response->add_containers() = std::move(container);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::UpdateContainerResources(grpc::ServerContext*,
                                                      const cri::UpdateContainerResourcesRequest* request,
                                                      cri::UpdateContainerResourcesResponse*) {
  return edge_.Serve({"UpdateContainerResources", Kind::kChange, request->container_id()},
                     [&] { return backends_.containers.UpdateResources(*request); });
}

}  // namespace wherry::server
