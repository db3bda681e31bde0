// wherryd as a service of systemd: what it does there, and that its pods do not notice what becomes of it.

#include <gmock/gmock.h>
#include <signal.h>

#include "test/node/node.h"

namespace wherry::node {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ServiceTest : public WitnessedTest {};

TEST_F(ServiceTest, PodsTalkOverTheNodesNetwork) {
  RunPod("web", {"httpd", "-f", "-p", "80", "-h", "/www"});
  std::string address;
  for (const auto& pod : Pods()) {
    if (pod["name"] == "web") address = pod["ip"].get<std::string>();
  }
  ASSERT_THAT(address, StartsWith("10.88."));
  // httpd may not listen yet.
  const std::string fetch = "until wget -q -O - http://" + address + "/; do usleep 100000; done";
  EXPECT_THAT(Do({"wherry", "run", "--name", "client", "busybox", "sh", "-c", fetch}), HasSubstr("<"));
}

TEST_F(ServiceTest, RestartLeavesContainersRunning) {
  const std::string old = Unit("MainPID");
  Do({"systemctl", "restart", "wherryd"});
  EXPECT_NE(Unit("MainPID"), old);
}

TEST_F(ServiceTest, StopLeavesContainersRunning) {
  Do({"systemctl", "stop", "wherryd"});
  EXPECT_EQ(Unit("MainPID"), "0");
  witnesses().ExpectAlive();
  Do({"systemctl", "start", "wherryd"});
}

TEST_F(ServiceTest, IsStartedAgainAfterKill9AndContainersDoNotNotice) {
  const std::string old = Unit("MainPID");
  ASSERT_EQ(kill(std::stoi(old), SIGKILL), 0);
  WaitForAnotherDaemon(old);
}

TEST_F(ServiceTest, DaemonReloadLeavesContainersRunning) { Do({"systemctl", "daemon-reload"}); }

TEST_F(ServiceTest, IsWatchedByItsManagerAndLastToBeKilledForMemory) {
  EXPECT_EQ(Unit("WatchdogUSec"), "1min");
  EXPECT_NE(Unit("WatchdogTimestampMonotonic"), "0");
  EXPECT_EQ(Unit("OOMScoreAdjust"), "-999");
  EXPECT_EQ(Unit("KillMode"), "process");
}

}  // namespace
}  // namespace wherry::node
