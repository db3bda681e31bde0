// Statistics over CRI as the kubelet reads them: of what runs, from the kernel's own counters.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class StatsTest : public NodeTest {
 protected:
  cri::ContainerStats Of(const std::string& container) {
    cri::ContainerStatsRequest request;
    request.set_container_id(container);
    cri::ContainerStatsResponse response;
    grpc::ClientContext context;
    auto status = node.runtime().ContainerStats(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.stats();
  }
  std::vector<std::string> Listed(const cri::ContainerStatsFilter& filter) {
    cri::ListContainerStatsRequest request;
    *request.mutable_filter() = filter;
    cri::ListContainerStatsResponse response;
    grpc::ClientContext context;
    auto status = node.runtime().ListContainerStats(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> ids;
    for (const auto& one : response.stats()) ids.push_back(one.attributes().id());
    return ids;
  }
};

TEST_F(StatsTest, AContainersUseIsSeenInItsNumbers) {
  std::string pod = node.RunPod("p");
  // 16 MiB of memory in a tmpfs, which counts as the container's, and a program that never rests.
  std::string c = node.Run(
      pod, "busy", {"sh", "-c", "dd if=/dev/zero of=/dev/shm/full bs=1M count=16 2>/dev/null; while :; do :; done"});
  cri::ContainerStats first;
  Eventually("16 MiB to be counted", [&] {
    first = Of(c);
    return first.memory().usage_bytes().value() >= 16u << 20;
  });
  EXPECT_EQ(first.attributes().id(), c);
  EXPECT_EQ(first.attributes().metadata().name(), "busy");
  EXPECT_GE(first.memory().working_set_bytes().value(), 16u << 20);
  EXPECT_GT(first.memory().timestamp(), 0);
  EXPECT_EQ(first.writable_layer().fs_id().mountpoint(), node.dir() + "/lib");
  const uint64_t used = first.cpu().usage_core_nano_seconds().value();
  EXPECT_GT(used, 0u);
  cri::ContainerStats later;
  EXPECT_FALSE(first.cpu().has_usage_nano_cores()) << "a rate is unknown before there are two samples";
  Eventually("a rate", [&] {
    later = Of(c);
    return later.cpu().has_usage_nano_cores();
  });
  EXPECT_GT(later.cpu().timestamp(), first.cpu().timestamp());
  EXPECT_GT(later.cpu().usage_core_nano_seconds().value(), used);
  EXPECT_GT(later.cpu().usage_nano_cores().value(), 0u);
}

// KUBELET 49
TEST_F(StatsTest, WaitingForACpuIsSeenAsPressure) {
  // Whether this kernel measures it is to be seen in any cgroup of v2 below the root.
  const std::string unified =
      std::filesystem::exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
  const std::string pod = node.RunPod("p");
  // More that never rests than there are CPUs.
  const std::string c =
      node.Run(pod, "c", {"sh", "-c", "for i in $(seq $(nproc)); do while :; do :; done & done; while :; do :; done"});
  std::string line;
  if (!std::getline(std::ifstream(unified + node.cgroup() + "/cpu.pressure"), line)) {
    EXPECT_FALSE(Of(c).cpu().has_psi()) << "no numbers rather than zeros";
    EXPECT_FALSE(Of(c).has_io());
    return;
  }
  cri::ContainerStats stats;
  Eventually("somebody to have waited", [&] {
    stats = Of(c);
    return stats.cpu().psi().some().total() > 0;
  });
  EXPECT_GE(stats.cpu().psi().some().total(), stats.cpu().psi().full().total());
  EXPECT_TRUE(stats.memory().psi().has_some());
  EXPECT_TRUE(stats.memory().psi().has_full());
  EXPECT_TRUE(stats.io().psi().has_some());
  EXPECT_GT(stats.io().timestamp(), 0);
  cri::PodSandboxStatsRequest request;
  request.set_pod_sandbox_id(pod);
  cri::PodSandboxStatsResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(node.runtime().PodSandboxStats(&context, request, &response).ok());
  EXPECT_GT(response.stats().linux().cpu().psi().some().total(), 0u);
  EXPECT_TRUE(response.stats().linux().memory().psi().has_full());
  EXPECT_TRUE(response.stats().linux().io().psi().has_some());
}

TEST_F(StatsTest, ListsHaveWhatRunsAndTakeFilters) {
  std::string pod = node.RunPod("p"), other = node.RunPod("q");
  auto labelled = [](cri::ContainerConfig& config) { (*config.mutable_labels())["app"] = "web"; };
  std::string a = node.Run(pod, "a", {"sleep", "1000"}, labelled), b = node.Run(other, "b", {"sleep", "1000"});
  std::string created = node.Create(pod, "created", {"sleep", "1000"}, labelled);
  EXPECT_THAT(Listed({}), testing::UnorderedElementsAre(a, b));
  cri::ContainerStatsFilter filter;
  filter.set_pod_sandbox_id(other);
  EXPECT_THAT(Listed(filter), testing::ElementsAre(b));
  filter.Clear();
  (*filter.mutable_label_selector())["app"] = "web";
  EXPECT_THAT(Listed(filter), testing::ElementsAre(a));
  EXPECT_FALSE(Of(created).has_cpu()) << "no numbers rather than zeros for what does not run";

  cri::ContainerStatsRequest unknown;
  unknown.set_container_id(std::string(64, 'f'));
  cri::ContainerStatsResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(node.runtime().ContainerStats(&context, unknown, &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(StatsTest, APodHasItsContainersAndItsTraffic) {
  std::string pod = node.RunPod("p");
  std::string c = node.Run(pod, "c", {"sleep", "1000"});
  node.Exec(c, {"ping", "-c", "3", "-i", "0.05", "-s", "1000", "10.88.0.1"});
  cri::ListPodSandboxStatsResponse list;
  grpc::ClientContext context;
  auto status = node.runtime().ListPodSandboxStats(&context, {}, &list);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(list.stats_size(), 1);
  const cri::PodSandboxStats& stats = list.stats(0);
  EXPECT_EQ(stats.attributes().id(), pod);
  EXPECT_EQ(stats.attributes().metadata().name(), "p");
  ASSERT_EQ(stats.linux().containers_size(), 1);
  EXPECT_EQ(stats.linux().containers(0).attributes().id(), c);
  EXPECT_GE(stats.linux().cpu().usage_core_nano_seconds().value(),
            stats.linux().containers(0).cpu().usage_core_nano_seconds().value());
  EXPECT_GE(stats.linux().process().process_count().value(), 1u);  // a task leaves pids.current only after it is reaped
  const cri::NetworkInterfaceUsage& eth0 = stats.linux().network().default_interface();
  EXPECT_EQ(eth0.name(), "eth0");
  EXPECT_GE(eth0.tx_bytes().value(), 3000u);
  EXPECT_GE(eth0.rx_bytes().value(), 3000u);
}

// Metrics as Prometheus would show them: "NAME container=C pod=P device=D" → value.
class MetricsTest : public StatsTest {
 protected:
  std::map<std::string, uint64_t> Shown() {
    cri::ListMetricDescriptorsResponse descriptors;
    cri::ListPodSandboxMetricsResponse metrics;
    grpc::ClientContext first, second;
    EXPECT_TRUE(node.runtime().ListMetricDescriptors(&first, {}, &descriptors).ok());
    EXPECT_TRUE(node.runtime().ListPodSandboxMetrics(&second, {}, &metrics).ok());
    for (const auto& d : descriptors.descriptors())
      keys_[d.name()].assign(d.label_keys().begin(), d.label_keys().end());
    std::map<std::string, uint64_t> shown;
    for (const auto& pod : metrics.pod_metrics()) {
      for (const cri::Metric& m : pod.metrics()) shown[Name(m)] = m.value().value();
      for (const auto& container : pod.container_metrics())
        for (const cri::Metric& m : container.metrics()) shown[Name(m)] = m.value().value();
    }
    return shown;
  }
  // The names that the last Shown() knew.
  std::vector<std::string> Announced() const {
    std::vector<std::string> names;
    for (const auto& [name, keys] : keys_) names.push_back(name);
    return names;
  }

 private:
  std::string Name(const cri::Metric& m) {
    const std::vector<std::string>& keys = keys_.at(m.name());
    EXPECT_EQ(static_cast<size_t>(m.label_values_size()), keys.size()) << m.name();
    std::string text = m.name();
    for (int i = 0; i < m.label_values_size(); ++i) {
      const std::string& key = keys.at(static_cast<size_t>(i));
      if (key == "container" || key == "pod" || key == "interface") text += " " + key + "=" + m.label_values(i);
    }
    return text;
  }
  std::map<std::string, std::vector<std::string>> keys_;
};

// KUBELET 49, 50
TEST_F(MetricsTest, HaveCadvisorsNamesAndLabels) {
  node.Run(node.RunPod("p"), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(64 << 20);
  });
  auto shown = Shown();
  EXPECT_GT(shown["container_memory_usage_bytes container=c pod=p"], 0u);
  EXPECT_EQ(shown["container_spec_memory_limit_bytes container=c pod=p"], 64u << 20);
  EXPECT_EQ(shown["container_processes container=c pod=p"], 1u);
  EXPECT_GE(shown["container_memory_max_usage_bytes container=c pod=p"], 4096u);
  for (const char* name :
       {"container_cpu_usage_seconds_total", "container_memory_failcnt", "container_oom_events_total",
        "container_memory_kernel_usage", "container_threads_max", "container_fs_usage_bytes"})
    EXPECT_EQ(shown.count(std::string(name) + " container=c pod=p"), 1u) << name;
  EXPECT_EQ(shown.count("container_network_receive_bytes_total container= pod=p interface=eth0"), 1u);
  const uint64_t inodes = shown["container_fs_inodes_total container=c pod=p"];
  EXPECT_GT(shown["container_fs_limit_bytes container=c pod=p"], shown["container_fs_usage_bytes container=c pod=p"]);
  EXPECT_LE(shown["container_fs_inodes_free container=c pod=p"], inodes);
}

// Each series that is announced is there for any container, but for those of what a host or a container may not have: counted huge pages,
// measured pressure, a block device, a limit.
TEST_F(MetricsTest, NoneIsAnnouncedThatNobodyGets) {
  node.Run(node.RunPod("p"), "c", {"sleep", "1000"});
  std::set<std::string> shown;
  for (const auto& [series, value] : Shown()) shown.insert(series.substr(0, series.find(' ')));
  for (const std::string& name : Announced()) {
    if (std::regex_match(
            name,
            std::regex("container_(hugetlb_(max_)?usage_bytes|pressure_.*|fs_(reads|writes)_.*|blkio_.*|spec_.*)")))
      continue;
    EXPECT_EQ(shown.count(name), 1u) << name;
  }
}

TEST_F(MetricsTest, CountWhatProcessesHaveOpen) {
  const std::string pod = node.RunPod("p");
  node.Run(pod, "files", {"sh", "-c", "exec 7</etc/passwd 8</etc/passwd sleep 1000"});
  node.Run(pod, "listens", {"nc", "-l", "-p", "99"});
  std::map<std::string, uint64_t> shown;
  Eventually("two files beside the standard three, and a socket to be open", [&] {
    shown = Shown();
    return shown["container_file_descriptors container=files pod=p"] == 5 &&
           shown["container_sockets container=listens pod=p"] == 1;
  });
  EXPECT_EQ(shown["container_sockets container=files pod=p"], 0u);
  EXPECT_EQ(shown["container_threads container=files pod=p"], 1u);
}

}  // namespace
}  // namespace wherry::e2e
