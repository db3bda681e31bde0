// What a reboot of the node leaves of ten pods. hack/test.sh runs the first of these, reboots the node, and runs the second.

#include <gmock/gmock.h>

#include <filesystem>

#include "test/node/node.h"

namespace wherry::node {
namespace {

constexpr int kPods = 10;

// Addresses in use: a file for each, beside the lock and the last one given.
int Leases() {
  int number = 0;
  for (const auto& file : std::filesystem::directory_iterator("/var/lib/cni/networks/wherry"))
    number += std::isdigit(static_cast<unsigned char>(file.path().filename().string()[0])) != 0 ? 1 : 0;
  return number;
}

int Namespaces() {
  const std::filesystem::path all = "/run/wherry/netns";
  if (!std::filesystem::exists(all)) return 0;
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(all), {}));
}

class BeforeRebootTest : public NodeTest {};

TEST_F(BeforeRebootTest, TenPodsRun) {
  for (int i = 0; i < kPods; ++i) RunPod("p" + std::to_string(i), {"sleep", "1000000"});
  EXPECT_EQ(Containers().size(), static_cast<size_t>(kPods));
  EXPECT_EQ(Leases(), kPods);
  EXPECT_EQ(Namespaces(), kPods);
}

class AfterRebootTest : public NodeTest {
 protected:
  static void SetUpTestSuite() {}
};

TEST_F(AfterRebootTest, ContainersAreRecordedAsExitedAndNothingIsStale) {
  EXPECT_EQ(Unit("ActiveState"), "active");
  const auto containers = Containers();
  EXPECT_EQ(containers.size(), static_cast<size_t>(kPods));
  for (const auto& container : containers) {
    EXPECT_THAT(container["state"].get<std::string>(), testing::StartsWith("Exited")) << container;
    EXPECT_NE(container["exit_code"], 0) << container;
  }
  const auto pods = Pods();
  EXPECT_EQ(pods.size(), static_cast<size_t>(kPods));
  for (const auto& pod : pods) EXPECT_EQ(pod["state"], "NotReady") << pod;
  EXPECT_EQ(Namespaces(), 0);
  Eventually("the addresses of pods that were to be free", [] { return Leases() == 0; });
  RemoveAllPods();
  EXPECT_EQ(Containers().size(), 0U);
  EXPECT_TRUE(std::filesystem::is_empty("/var/lib/wherry/containers"));
}

// In the time of the machine's own clock, from when its process exists to when systemd was told that it serves.
TEST_F(AfterRebootTest, SaysHowSoonItServed) {
  const long begin = std::stol(Unit("ExecMainStartTimestampMonotonic"));
  const long ready = std::stol(Unit("ActiveEnterTimestampMonotonic"));
  ASSERT_GT(begin, 0);
  ASSERT_GT(ready, begin);
  printf("served %ld ms after its start\n", (ready - begin) / 1000);
}

}  // namespace
}  // namespace wherry::node
