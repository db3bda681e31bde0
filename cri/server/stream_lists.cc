#include "cri/container/service.h"
#include "cri/pod/service.h"
#include "cri/server/pieces.h"
#include "cri/server/runtime_service.h"

namespace wherry::server {

grpc::Status RuntimeService::StreamPodSandboxes(grpc::ServerContext*, const cri::StreamPodSandboxesRequest* request,
                                                grpc::ServerWriter<cri::StreamPodSandboxesResponse>* writer) {
  return edge_.Serve({"StreamPodSandboxes", Kind::kRead, ""}, [&] {
    google::protobuf::RepeatedPtrField<cri::PodSandbox> items;
    for (cri::PodSandbox& pod : backends_.pods.List(request->filter())) *items.Add() = std::move(pod);
    return WriteInPieces(items, &cri::StreamPodSandboxesResponse::mutable_pod_sandboxes, writer);
  });
}

grpc::Status RuntimeService::StreamContainers(grpc::ServerContext*, const cri::StreamContainersRequest* request,
                                              grpc::ServerWriter<cri::StreamContainersResponse>* writer) {
  return edge_.Serve({"StreamContainers", Kind::kRead, ""}, [&] {
    google::protobuf::RepeatedPtrField<cri::Container> items;
    for (cri::Container& container : backends_.containers.List(request->filter())) *items.Add() = std::move(container);
    return WriteInPieces(items, &cri::StreamContainersResponse::mutable_containers, writer);
  });
}

}  // namespace wherry::server
