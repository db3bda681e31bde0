#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/cri/v1/api.pb.h"
#include "cri/stats/descriptors.h"
#include "cri/stats/file_system.h"
#include "cri/stats/network.h"
#include "cri/stats/writable_layer.h"
#include "cri/store/records.pb.h"
#include "runtime/cgroup/cgroup.h"

// Numbers for dashboards, under cAdvisor's names and labels, so that a node whose kubelet asks the runtime for them
// (feature gate PodAndContainerStatsFromCRI) shows the same series as before. CRI carries whole numbers only: seconds are
// rounded down. What this kernel does not count is left out; zero would be a claim.
namespace wherry::stats {

// Every metric that may appear below, with its labels in the order of their values.
std::vector<::runtime::v1::MetricDescriptor> MetricDescriptors();

// What one container, or a pod as a whole, is known by and has counted.
struct Measured {
  const store::PodRecord* pod = nullptr;
  const store::ContainerRecord* container = nullptr;  // null: the pod
  const cgroup::Stats* stats = nullptr;               // null: its cgroup could not be read
  const cgroup::Detail* detail = nullptr;             // the same
  cgroup::Pressures pressures;
  std::optional<uint64_t> processes;
  std::optional<Descriptors> descriptors;
  const FileSystem* file_system = nullptr;  // of the writable layer; null: it has none
  std::optional<DiskUse> disk;              // of the writable layer; unset when unknown
  std::vector<Interface> interfaces;        // of the pod
  int64_t now_ns = 0;
};
std::vector<::runtime::v1::Metric> Metrics(const Measured& measured);

}  // namespace wherry::stats
