// What the kubelet demands and no test of a verb happens to show: each test quotes the number of the demand.

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::MatchesRegex;
using testing::UnorderedElementsAre;

class KubeletTest : public NodeTest {
 protected:
  std::vector<std::string> Pods(const cri::PodSandboxFilter& filter) {
    cri::ListPodSandboxRequest request;
    *request.mutable_filter() = filter;
    cri::ListPodSandboxResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.runtime().ListPodSandbox(&context, request, &response).ok());
    std::vector<std::string> ids;
    for (const auto& pod : response.items()) ids.push_back(pod.id());
    return ids;
  }
  std::vector<std::string> Containers() {
    cri::ListContainersRequest request;
    request.mutable_filter();
    cri::ListContainersResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.runtime().ListContainers(&context, request, &response).ok());
    std::vector<std::string> ids;
    for (const auto& container : response.containers()) ids.push_back(container.id());
    return ids;
  }
};

// KUBELET 5, 6, 8
TEST_F(KubeletTest, WhatItAsksWhenItStarts) {
  grpc::ClientContext first, second, third;
  cri::VersionResponse version;
  ASSERT_TRUE(node.runtime().Version(&first, {}, &version).ok());
  EXPECT_EQ(version.version(), "0.1.0");
  EXPECT_EQ(version.runtime_name(), "wherry");
  EXPECT_THAT(version.runtime_version(), MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+.*"));
  EXPECT_FALSE(version.runtime_api_version().empty());
  cri::RuntimeConfigResponse config;
  ASSERT_TRUE(node.runtime().RuntimeConfig(&second, {}, &config).ok());
  ASSERT_TRUE(config.has_linux());
  EXPECT_EQ(config.linux().cgroup_driver(), cri::CGROUPFS);
  cri::UpdateRuntimeConfigRequest update;
  update.mutable_runtime_config()->mutable_network_config()->set_pod_cidr("10.1.0.0/24");
  cri::UpdateRuntimeConfigResponse updated;
  EXPECT_TRUE(node.runtime().UpdateRuntimeConfig(&third, update, &updated).ok());
}

// KUBELET 9, 10, 11
TEST_F(KubeletTest, ListsHaveAllStatesAndAnEmptyStateMeansReady) {
  const std::string ready = node.RunPod("ready"), stopped = node.RunPod("stopped");
  const std::string created = node.Create(ready, "created", {"true"});
  const std::string exited = node.Run(ready, "exited", {"true"});
  node.WaitExited(exited);
  ASSERT_TRUE(node.TryStopPod(stopped).ok());
  EXPECT_THAT(Pods({}), UnorderedElementsAre(ready, stopped));
  cri::PodSandboxFilter filter;
  filter.mutable_state();
  EXPECT_THAT(Pods(filter), UnorderedElementsAre(ready));
  EXPECT_THAT(Containers(), UnorderedElementsAre(created, exited));
  for (const std::string& id : Containers()) EXPECT_EQ(node.Status(id).id(), id);
}

// KUBELET 10: a message that is there and empty has a meaning of its own.
TEST_F(KubeletTest, ZeroValuesCount) {
  const std::string c = node.Run(node.RunPod("p"), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    auto& security = *config.mutable_linux()->mutable_security_context();
    security.mutable_seccomp()->Clear();
    security.mutable_run_as_user();
  });
  EXPECT_EQ(node.Exec(c, {"sh", "-c", "id -u; grep Seccomp: /proc/self/status"}).stdout(), "0\nSeccomp:\t2\n");
}

// KUBELET 16, 28
TEST_F(KubeletTest, AHostPortOfZeroIsNone) {
  const std::string pod = node.RunPod("p", [](cri::PodSandboxConfig& config) {
    config.add_port_mappings()->set_container_port(80);
    config.add_port_mappings()->set_container_port(81);
  });
  EXPECT_THAT(pod, MatchesRegex("[0-9a-f]{64}|[0-9a-f]+"));
  EXPECT_EQ(pod.size(), 64u);
  EXPECT_EQ(node.Create(pod, "c", {"true"}).size(), 64u);
}

// KUBELET 22: what it sends for a container without limits, on v1.
TEST_F(KubeletTest, TheUsualResourcesAreTaken) {
  const std::string c = node.Run(node.RunPod("p"), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    auto& resources = *config.mutable_linux()->mutable_resources();
    resources.set_cpu_shares(2);
    resources.set_cpu_period(100000);
    resources.set_cpu_quota(-1);
    resources.set_memory_limit_in_bytes(64 << 20);
    resources.set_memory_swap_limit_in_bytes(64 << 20);
    resources.set_oom_score_adj(1000);
    for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages")) {
      const long kib = std::stol(entry.path().filename().string().substr(std::string("hugepages-").size()));
      resources.add_hugepage_limits()->set_page_size(kib >= 1 << 20 ? std::to_string(kib >> 20) + "GB"
                                                                    : std::to_string(kib >> 10) + "MB");
    }
  });
  const cri::LinuxContainerResources told = node.Status(c).resources().linux();
  EXPECT_EQ(told.cpu_quota(), -1);
  EXPECT_EQ(told.memory_swap_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(node.Exec(c, {"cat", "/proc/1/oom_score_adj"}).stdout(), "1000\n");
}

// KUBELET 24, 25, 27, 31
TEST_F(KubeletTest, AStartedContainerHasALogAndAStatusThatNamesItsMounts) {
  const std::string termination = node.dir() + "/termination";
  std::ofstream(termination) << "";
  const std::string c = node.Run(node.RunPod("p"), "c", {"sh", "-c", "echo why >/dev/termination-log"},
                                 [&](cri::ContainerConfig& config) {
                                   auto& mount = *config.add_mounts();
                                   mount.set_host_path(termination);
                                   mount.set_container_path("/dev/termination-log");
                                 });
  const cri::ContainerStatus status = node.WaitExited(c);
  EXPECT_EQ(status.log_path().front(), '/');
  EXPECT_TRUE(std::filesystem::exists(status.log_path()));
  ASSERT_EQ(status.mounts_size(), 1);
  EXPECT_EQ(status.mounts(0).host_path(), termination);
  std::string text;
  std::getline(std::ifstream(termination) >> std::ws, text);
  EXPECT_EQ(text, "why");
  EXPECT_FALSE(status.image().image().empty());
  EXPECT_FALSE(status.image_ref().empty());
  EXPECT_GT(status.created_at(), 0);
  EXPECT_EQ(status.reason(), "Completed");
}

// KUBELET 35, 36, 37: the kubelet kills what is in the pod's cgroup and removes it before it asks for the removal.
TEST_F(KubeletTest, APodCanBeRemovedWhenItsCgroupIsGone) {
  const std::string pod = node.RunPod("p");
  const std::string c =
      node.Run(pod, "c", {"sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do usleep 10000; done"});
  Eventually("the trap to be set", [&] { return node.LogText(c) == "ready\n"; });
  ASSERT_TRUE(node.TryStop(c, 10).ok());
  ASSERT_TRUE(node.TryStopPod(pod).ok());
  RemoveCgroupsNamed(node.cgroup() + "/pods/" + pod);
  EXPECT_TRUE(node.TryStopPod(pod).ok());
  const cri::ContainerStatus status = node.Status(c);
  EXPECT_EQ(status.state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 3);
  for (int again = 0; again < 2; ++again) {
    EXPECT_TRUE(node.TryRemove(c).ok());
    EXPECT_TRUE(node.TryRemovePod(pod).ok());
  }
}

}  // namespace
}  // namespace wherry::e2e
