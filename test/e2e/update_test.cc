// Resources changed while containers exist.

#include <gmock/gmock.h>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

class UpdateTest : public NodeTest {
 protected:
  grpc::Status Update(const std::string& id, const std::function<void(cri::LinuxContainerResources&)>& set) {
    cri::UpdateContainerResourcesRequest request;
    request.set_container_id(id);
    set(*request.mutable_linux());
    cri::UpdateContainerResourcesResponse response;
    grpc::ClientContext context;
    return node.runtime().UpdateContainerResources(&context, request, &response);
  }
  // The first word of a file of the container's own cgroup, by its name in v1 or in v2.
  std::string Limit(const std::string& id, const std::string& v1, const std::string& v2) {
    return node
        .Exec(id, {"sh", "-c", "cd /sys/fs/cgroup; cat " + v1 + " " + v2 + " 2>/dev/null | head -n1 | tr -d '\\n'"})
        .stdout();
  }
  std::string Memory(const std::string& id) { return Limit(id, "memory/memory.limit_in_bytes", "memory.max"); }
  std::string Quota(const std::string& id) { return Limit(id, "cpu/cpu.cfs_quota_us", "cpu.max"); }
};

void SetMemory(cri::LinuxContainerResources& r, int64_t mib) {
  r.set_memory_limit_in_bytes(mib << 20);
  r.set_memory_swap_limit_in_bytes(mib << 20);
}

// KUBELET 51
TEST_F(UpdateTest, ARunningContainerGetsWhatIsNamedAndKeepsTheRest) {
  std::string id = node.Run(node.RunPod("p"), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    auto& r = *config.mutable_linux()->mutable_resources();
    SetMemory(r, 64);
    r.set_cpu_period(100000);
    r.set_cpu_quota(50000);
  });
  auto status = Update(id, [](auto& r) { SetMemory(r, 96); });
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Memory(id), std::to_string(96 << 20));
  EXPECT_THAT(Quota(id), HasSubstr("50000"));
  status = Update(id, [](auto& r) { r.set_cpu_quota(20000); });
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(Quota(id), HasSubstr("20000"));
  node.Kill9();
  ASSERT_NO_FATAL_FAILURE(node.Start());
  auto resources = node.Status(id).resources().linux();
  EXPECT_EQ(resources.memory_limit_in_bytes(), 96 << 20);
  EXPECT_EQ(resources.cpu_quota(), 20000);
  EXPECT_EQ(resources.cpu_period(), 100000);
}

TEST_F(UpdateTest, ACreatedContainerStartsWithWhatItWasUpdatedTo) {
  std::string id = node.Create(node.RunPod("p"), "c", {"sleep", "1000"});
  ASSERT_TRUE(Update(id, [](auto& r) { SetMemory(r, 80); }).ok());
  node.StartContainer(id);
  EXPECT_EQ(Memory(id), std::to_string(80 << 20));
}

// KUBELET 51
TEST_F(UpdateTest, AllOrNothing) {
  std::string id = node.Run(node.RunPod("p"), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    SetMemory(*config.mutable_linux()->mutable_resources(), 64);
  });
  auto status = Update(id, [](auto& r) {
    SetMemory(r, 128);
    r.set_cpuset_cpus("4000-4001");
  });
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("4000-4001"));
  status = Update(id, [](auto& r) {
    r.set_cpu_quota(30000);
    r.set_memory_limit_in_bytes(-7);
  });
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_EQ(Memory(id), std::to_string(64 << 20));
  EXPECT_THAT(Quota(id), Not(HasSubstr("30000")));
  EXPECT_EQ(node.Status(id).resources().linux().memory_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(node.Status(id).resources().linux().cpu_quota(), 0);
}

TEST_F(UpdateTest, AMemoryLimitBelowWhatIsInUseIsRefusedAndKillsNobody) {
  std::string id =
      node.Run(node.RunPod("p"), "c", {"sh", "-c", "head -c 30000000 /dev/zero >/dev/shm/held; echo held; sleep 1000"},
               [](cri::ContainerConfig& config) { SetMemory(*config.mutable_linux()->mutable_resources(), 256); });
  Eventually("the memory to be in use", [&] { return node.LogText(id) == "held\n"; });
  auto status = Update(id, [](auto& r) { SetMemory(r, 8); });
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("less than what the container uses"));
  EXPECT_EQ(Memory(id), std::to_string(256 << 20));
  EXPECT_EQ(node.Status(id).state(), cri::CONTAINER_RUNNING);
}

TEST_F(UpdateTest, RefusalsSayWhy) {
  std::string id = node.Run(node.RunPod("p"), "c", {"true"});
  node.WaitExited(id);
  EXPECT_EQ(Update(id, [](auto& r) { SetMemory(r, 8); }).error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Update("0123456789abcdef", [](auto&) {}).error_code(), StatusCode::NOT_FOUND);
  std::string running = node.Run(node.RunPod("q"), "c", {"sleep", "1000"});
  EXPECT_EQ(Update(running, [](auto& r) { r.set_oom_score_adj(500); }).error_code(), StatusCode::UNIMPLEMENTED);
}

// KUBELET 52
TEST_F(UpdateTest, APodRemembersWhatTheKubeletIsAboutToSet) {
  auto update = [&](const std::string& id, int64_t shares) {
    cri::UpdatePodSandboxResourcesRequest request;
    request.set_pod_sandbox_id(id);
    request.mutable_resources()->set_cpu_shares(shares);
    cri::UpdatePodSandboxResourcesResponse response;
    grpc::ClientContext context;
    return node.runtime().UpdatePodSandboxResources(&context, request, &response);
  };
  std::string pod = node.RunPod("p");
  EXPECT_TRUE(update(pod, 512).ok());
  EXPECT_EQ(update(pod, -1).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(update("0123456789abcdef", 512).error_code(), StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace wherry::e2e
