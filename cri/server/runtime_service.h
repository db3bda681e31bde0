#pragma once

#include "api/cri/v1/api.grpc.pb.h"
#include "cri/server/edge.h"

namespace wherry::config {
struct Config;
}
namespace wherry::container {
class Service;
}
namespace wherry::network {
class Network;
}
namespace wherry::pod {
class Service;
}
namespace wherry::stats {
class Collector;
}
namespace wherry::streaming {
class Server;
}

// CRI's RuntimeService. Every method is translation only: it names the call for the log, hands the request on and puts the
// result into the answer. Grouped in files by what they are about: version.cc, status.cc, pods.cc, containers.cc,
// processes.cc, streams.cc, stats.cc, stream_lists.cc; unimplemented.cc has those that this version does not offer, each saying so.
namespace wherry::server {

namespace cri = ::runtime::v1;

class RuntimeService final : public cri::RuntimeService::Service {
 public:
  struct Backends {
    const config::Config& config;
    pod::Service& pods;
    container::Service& containers;
    network::Network& network;
    stats::Collector& stats;
    streaming::Server& streaming;
    std::string cgroup_layout;
  };
  RuntimeService(Edge& edge, const Backends& backends) : edge_(edge), backends_(backends) {}

#define WHERRY_RPC(NAME) \
  grpc::Status NAME(grpc::ServerContext*, const cri::NAME##Request*, cri::NAME##Response*) override
#define WHERRY_STREAM(NAME, REQUEST, ITEM) \
  grpc::Status NAME(grpc::ServerContext*, const cri::REQUEST*, grpc::ServerWriter<cri::ITEM>*) override

  WHERRY_RPC(Version);
  WHERRY_RPC(RuntimeConfig);
  WHERRY_RPC(UpdateRuntimeConfig);
  WHERRY_RPC(Status);

  WHERRY_RPC(RunPodSandbox);
  WHERRY_RPC(StopPodSandbox);
  WHERRY_RPC(RemovePodSandbox);
  WHERRY_RPC(PodSandboxStatus);
  WHERRY_RPC(ListPodSandbox);

  WHERRY_RPC(CreateContainer);
  WHERRY_RPC(StartContainer);
  WHERRY_RPC(StopContainer);
  WHERRY_RPC(RemoveContainer);
  WHERRY_RPC(ContainerStatus);
  WHERRY_RPC(ListContainers);

  WHERRY_RPC(ExecSync);
  WHERRY_RPC(ReopenContainerLog);

  WHERRY_RPC(UpdateContainerResources);
  WHERRY_RPC(UpdatePodSandboxResources);
  WHERRY_RPC(Exec);
  WHERRY_RPC(Attach);
  WHERRY_RPC(PortForward);
  WHERRY_RPC(ContainerStats);
  WHERRY_RPC(ListContainerStats);
  WHERRY_RPC(PodSandboxStats);
  WHERRY_RPC(ListPodSandboxStats);
  WHERRY_RPC(CheckpointContainer);
  WHERRY_RPC(ListMetricDescriptors);
  WHERRY_RPC(ListPodSandboxMetrics);
  WHERRY_STREAM(StreamPodSandboxes, StreamPodSandboxesRequest, StreamPodSandboxesResponse);
  WHERRY_STREAM(StreamContainers, StreamContainersRequest, StreamContainersResponse);
  WHERRY_STREAM(StreamContainerStats, StreamContainerStatsRequest, StreamContainerStatsResponse);
  WHERRY_STREAM(StreamPodSandboxStats, StreamPodSandboxStatsRequest, StreamPodSandboxStatsResponse);
  WHERRY_STREAM(StreamPodSandboxMetrics, StreamPodSandboxMetricsRequest, StreamPodSandboxMetricsResponse);
  WHERRY_STREAM(GetContainerEvents, GetEventsRequest, ContainerEventResponse);

 private:
  Edge& edge_;
  const Backends backends_;
};

#undef WHERRY_RPC
#undef WHERRY_STREAM

}  // namespace wherry::server
