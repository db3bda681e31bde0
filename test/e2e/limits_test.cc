// Limits, seen from inside the container that runs into them.

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class LimitsTest : public NodeTest {};

auto Limit(const std::function<void(cri::LinuxContainerResources&)>& set) {
  return [set](cri::ContainerConfig& c) { set(*c.mutable_linux()->mutable_resources()); };
}

TEST_F(LimitsTest, AllocationOverTheMemoryLimitIsOOMKilledAndOthersLive) {
  std::string pod = node.RunPod("p"), other = node.RunPod("other");
  std::string bystander = node.Run(other, "bystander", {"sleep", "1000"});
  std::string c =
      node.Run(pod, "greedy", {"sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=128M count=1"}, Limit([](auto& r) {
                 r.set_memory_limit_in_bytes(32 << 20);
                 r.set_memory_swap_limit_in_bytes(32 << 20);
               }));
  auto s = node.WaitExited(c);
  EXPECT_EQ(s.exit_code(), 137);
  EXPECT_EQ(s.reason(), "OOMKilled");
  EXPECT_EQ(node.Status(bystander).state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(node.Exec(bystander, {"true"}).exit_code(), 0);
}

// The pod's limit ends a container that has none of its own, and the pod's own count says so where the kernel keeps one (v2).
TEST_F(LimitsTest, AllocationOverThePodsLimitIsOOMKilledAndCountedForThePod) {
  const std::string pod = node.RunPod("p", [](cri::PodSandboxConfig& config) {
    config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(32 << 20);
    config.mutable_linux()->mutable_resources()->set_memory_swap_limit_in_bytes(32 << 20);
  });
  const std::string c = node.Run(pod, "greedy", {"sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=128M count=1"});
  EXPECT_EQ(node.WaitExited(c).reason(), "OOMKilled");
  cri::ListPodSandboxMetricsResponse metrics;
  grpc::ClientContext context;
  ASSERT_TRUE(node.runtime().ListPodSandboxMetrics(&context, {}, &metrics).ok());
  ASSERT_EQ(metrics.pod_metrics_size(), 1);
  std::vector<uint64_t> kills;
  for (const cri::Metric& metric : metrics.pod_metrics(0).metrics())
    if (metric.name() == "container_oom_events_total") kills.push_back(metric.value().value());
  if (std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers"))
    EXPECT_THAT(kills, testing::ElementsAre(1));
  else
    EXPECT_THAT(kills, testing::IsEmpty()) << "v1 keeps none: no number rather than zero";
}

TEST_F(LimitsTest, CpuQuotaIsWhatTheKernelHolds) {
  std::string pod = node.RunPod("p");
  std::string c = node.Run(pod, "c", {"sleep", "1000"}, Limit([](auto& r) {
                             r.set_cpu_period(100000);
                             r.set_cpu_quota(20000);
                             r.set_cpu_shares(512);
                           }));
  auto s = node.Status(c);
  EXPECT_EQ(s.resources().linux().cpu_quota(), 20000);
  // Enforcement: a busy loop of 2 s CPU wall time is throttled, which the kernel counts.
  auto r = node.Exec(c, {"sh", "-c",
                         "timeout 2 sh -c 'while :; do :; done'; cat /sys/fs/cgroup/cpu/cpu.stat "
                         "/sys/fs/cgroup/cpu.stat 2>/dev/null | grep nr_throttled"});
  ASSERT_EQ(r.stdout().rfind("nr_throttled ", 0), 0u) << r.stdout();
  EXPECT_GE(std::stoi(r.stdout().substr(13)), 5);
}

// With the pids controller all the way down, which v2 wants said.
void MakeCgroup(const std::string& tree, const std::string& path) {
  std::string above = tree;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    std::ofstream(above + "/cgroup.subtree_control") << "+pids";  // v1 has no such file
    absl::StrAppend(&above, "/", part);
    std::filesystem::create_directory(above);
  }
}

// KUBELET 17: the kubelet makes the pod's cgroup, limits it, names it to the runtime and removes it.
TEST_F(LimitsTest, ForkBombStopsAtPidsMax) {
  const std::string parent = node.cgroup() + "/kubepods/pod1";
  int limited = 0;
  for (const char* tree : {"/sys/fs/cgroup/pids", "/sys/fs/cgroup"}) {
    if (!std::filesystem::exists(std::string(tree) + "/cgroup.procs")) continue;
    MakeCgroup(tree, parent);
    std::ofstream(tree + parent + "/pids.max") << "20" << std::flush;
    ++limited;
  }
  ASSERT_EQ(limited, 1);
  std::string pod = node.RunPod("p", [&](auto& c) { c.mutable_linux()->set_cgroup_parent(parent); });
  std::string bystander = node.Run(node.RunPod("other"), "bystander", {"sleep", "1000"});
  std::string bomb = node.Run(pod, "bomb", {"sleep", "1000"});
  auto r = node.Exec(bomb, {"sh", "-c", "i=0; while [ $i -lt 100 ]; do sleep 50 & i=$((i+1)); done; exit 0"});
  EXPECT_NE(r.exit_code(), 0);
  EXPECT_THAT(r.stderr(), testing::HasSubstr("fork"));
  EXPECT_EQ(node.Exec(bystander, {"true"}).exit_code(), 0);
  node.RemovePod(pod);
  for (const char* tree : {"/sys/fs/cgroup/pids", "/sys/fs/cgroup"}) {
    if (!std::filesystem::exists(std::string(tree) + "/cgroup.procs")) continue;
    EXPECT_EQ(::rmdir((tree + parent).c_str()), 0) << "the pod's cgroup is not there, or not empty";
  }
}

}  // namespace
}  // namespace wherry::e2e
