#include "cri/server/pieces.h"
#include "cri/server/runtime_service.h"
#include "cri/stats/collector.h"
#include "cri/stats/metrics.h"
#include "runtime/sys/status.h"

namespace wherry::server {

grpc::Status RuntimeService::ContainerStats(grpc::ServerContext*, const cri::ContainerStatsRequest* request,
                                            cri::ContainerStatsResponse* response) {
  return edge_.Serve({"ContainerStats", Kind::kRead, request->container_id()}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*response->mutable_stats(), backends_.stats.OfContainer(request->container_id()));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ListContainerStats(grpc::ServerContext*, const cri::ListContainerStatsRequest* request,
                                                cri::ListContainerStatsResponse* response) {
  return edge_.Serve({"ListContainerStats", Kind::kRead, ""}, [&] {
    for (cri::ContainerStats& one : backends_.stats.OfContainers(request->filter()))
      *response->add_stats() = std::move(one);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::StreamContainerStats(grpc::ServerContext*, const cri::StreamContainerStatsRequest* request,
                                                  grpc::ServerWriter<cri::StreamContainerStatsResponse>* writer) {
  return edge_.Serve({"StreamContainerStats", Kind::kRead, ""}, [&] {
    google::protobuf::RepeatedPtrField<cri::ContainerStats> items;
    for (cri::ContainerStats& one : backends_.stats.OfContainers(request->filter())) *items.Add() = std::move(one);
    return WriteInPieces(items, &cri::StreamContainerStatsResponse::mutable_container_stats, writer);
  });
}

grpc::Status RuntimeService::PodSandboxStats(grpc::ServerContext*, const cri::PodSandboxStatsRequest* request,
                                             cri::PodSandboxStatsResponse* response) {
  return edge_.Serve({"PodSandboxStats", Kind::kRead, request->pod_sandbox_id()}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*response->mutable_stats(), backends_.stats.OfPod(request->pod_sandbox_id()));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ListPodSandboxStats(grpc::ServerContext*, const cri::ListPodSandboxStatsRequest* request,
                                                 cri::ListPodSandboxStatsResponse* response) {
  return edge_.Serve({"ListPodSandboxStats", Kind::kRead, ""}, [&] {
    for (cri::PodSandboxStats& one : backends_.stats.OfPods(request->filter())) *response->add_stats() = std::move(one);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::StreamPodSandboxStats(grpc::ServerContext*,
                                                   const cri::StreamPodSandboxStatsRequest* request,
                                                   grpc::ServerWriter<cri::StreamPodSandboxStatsResponse>* writer) {
  return edge_.Serve({"StreamPodSandboxStats", Kind::kRead, ""}, [&] {
    google::protobuf::RepeatedPtrField<cri::PodSandboxStats> items;
    for (cri::PodSandboxStats& one : backends_.stats.OfPods(request->filter())) *items.Add() = std::move(one);
    return WriteInPieces(items, &cri::StreamPodSandboxStatsResponse::mutable_pod_sandbox_stats, writer);
  });
}

grpc::Status RuntimeService::ListMetricDescriptors(grpc::ServerContext*, const cri::ListMetricDescriptorsRequest*,
                                                   cri::ListMetricDescriptorsResponse* response) {
  return edge_.Serve({"ListMetricDescriptors", Kind::kRead, ""}, [&] {
    for (cri::MetricDescriptor& one : stats::MetricDescriptors()) *response->add_descriptors() = std::move(one);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ListPodSandboxMetrics(grpc::ServerContext*, const cri::ListPodSandboxMetricsRequest*,
                                                   cri::ListPodSandboxMetricsResponse* response) {
  return edge_.Serve({"ListPodSandboxMetrics", Kind::kRead, ""}, [&] {
    for (cri::PodSandboxMetrics& one : backends_.stats.MetricsOfPods()) *response->add_pod_metrics() = std::move(one);
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::StreamPodSandboxMetrics(grpc::ServerContext*, const cri::StreamPodSandboxMetricsRequest*,
                                                     grpc::ServerWriter<cri::StreamPodSandboxMetricsResponse>* writer) {
  return edge_.Serve({"StreamPodSandboxMetrics", Kind::kRead, ""}, [&] {
    google::protobuf::RepeatedPtrField<cri::PodSandboxMetrics> items;
    for (cri::PodSandboxMetrics& one : backends_.stats.MetricsOfPods()) *items.Add() = std::move(one);
    return WriteInPieces(items, &cri::StreamPodSandboxMetricsResponse::mutable_pod_sandbox_metrics, writer);
  });
}

}  // namespace wherry::server
