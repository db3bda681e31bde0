#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cri/v1/api.pb.h"
#include "cri/stats/file_system.h"
#include "cri/stats/rate.h"
#include "cri/stats/writable_layer.h"
#include "cri/store/store.h"
#include "runtime/cgroup/cgroup.h"

namespace wherry::stats {

// Answers the stats RPCs: one read of each cgroup's files per call, no sampling in the background but for the size of
// writable layers. Only running containers and ready pods have numbers, as the kubelet expects. Thread-safe.
class Collector {
 public:
  struct Options {
    std::function<std::string(const std::string& id)> upperdir;  // of a container
    std::string mountpoint;                                      // of the file system that holds them
  };
  Collector(const store::Store& store, cgroup::Cgroups& cgroups, Options options);

  // By id or prefix; NotFound when unknown. A container that does not run has attributes only.
  absl::StatusOr<::runtime::v1::ContainerStats> OfContainer(const std::string& id);
  std::vector<::runtime::v1::ContainerStats> OfContainers(const ::runtime::v1::ContainerStatsFilter& filter);
  absl::StatusOr<::runtime::v1::PodSandboxStats> OfPod(const std::string& id);
  std::vector<::runtime::v1::PodSandboxStats> OfPods(const ::runtime::v1::PodSandboxStatsFilter& filter);
  // Of all ready pods and their running containers, under cAdvisor's names.
  std::vector<::runtime::v1::PodSandboxMetrics> MetricsOfPods();

 private:
  std::vector<::runtime::v1::Metric> MetricsOf(const store::PodRecord& pod, const store::ContainerRecord* container,
                                               const FileSystem* file_system);
  // The size of a writable layer too new to be known, when it is small enough to be counted at once.
  std::optional<DiskUse> DiskUseOf(const std::string& container);
  ::runtime::v1::ContainerStats Read(const store::ContainerRecord& record);
  ::runtime::v1::PodSandboxStats Read(const store::PodRecord& record);

  const store::Store& store_;
  cgroup::Cgroups& cgroups_;
  Options options_;
  Rates rates_;
  WritableLayers layers_;
};

}  // namespace wherry::stats
