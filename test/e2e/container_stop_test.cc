// How containers are asked to stop, made to stop, and what is said of them afterwards.

#include <gmock/gmock.h>

#include <chrono>
#include <future>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ContainerStopTest : public NodeTest {
 protected:
  // Runs a shell script that has set its traps when this returns.
  std::string RunTrapped(const std::string& script) {
    std::string id = node.Run(node.RunPod("p"), "c", {"sh", "-c", script});
    Eventually("the traps to be set", [&] { return node.LogText(id).find("ready") != std::string::npos; });
    return id;
  }
};

constexpr char kStubborn[] = "trap 'echo term' TERM; echo ready; while :; do usleep 20000; done";

// KUBELET 34
TEST_F(ContainerStopTest, AnOrderlyEndKeepsItsExitCodeAndEndsTheWaiting) {
  std::string id = RunTrapped("trap 'exit 7' TERM; echo ready; while :; do usleep 20000; done");
  EXPECT_TRUE(node.TryStop(id, 3600).ok());
  auto status = node.Status(id);
  EXPECT_EQ(status.state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 7);
  EXPECT_EQ(status.reason(), "Error");
}

TEST_F(ContainerStopTest, ACallerCutOffByItsDeadlineGoesOnWithoutASecondSignal) {
  std::string id = RunTrapped(kStubborn);
  EXPECT_EQ(node.TryStop(id, 30, milliseconds(500)).error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(node.TryStop(id, 1).ok());
  auto status = node.Status(id);
  EXPECT_EQ(status.state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 137);
  EXPECT_EQ(status.reason(), "Error");
  EXPECT_EQ(node.LogText(id), "ready\nterm\n");
}

TEST_F(ContainerStopTest, AShorterStopOvertakesALongerOne) {
  std::string id = RunTrapped(kStubborn);
  auto patient = std::async(std::launch::async, [&] { return node.TryStop(id, 1000); });
  Eventually("the first signal", [&] { return node.LogText(id).find("term") != std::string::npos; });
  EXPECT_TRUE(node.TryStop(id, 0).ok());
  EXPECT_TRUE(patient.get().ok());
  EXPECT_EQ(node.Status(id).exit_code(), 137);
}

// KUBELET 34, 35, 37
TEST_F(ContainerStopTest, EveryVerbCanBeRepeated) {
  std::string id = node.Run(node.RunPod("p"), "c", {"sleep", "1000"});
  EXPECT_EQ(node.TryStart(id).error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(node.TryStop(id, 0).ok());
  EXPECT_TRUE(node.TryStop(id, 0).ok());
  EXPECT_EQ(node.TryStart(id).error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(node.TryRemove(id).ok());
  EXPECT_TRUE(node.TryRemove(id).ok());
  EXPECT_TRUE(node.TryStop(id, 0).ok());
  EXPECT_EQ(node.TryStart(id).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ContainerStopTest, ARunningContainerIsKilledByItsRemoval) {
  std::string id = RunTrapped(kStubborn);
  EXPECT_TRUE(node.TryRemove(id).ok());
  EXPECT_EQ(node.TryStop(id, 0).error_code(), StatusCode::OK);
  cri::ListContainersResponse list;
  grpc::ClientContext context;
  ASSERT_TRUE(node.runtime().ListContainers(&context, {}, &list).ok());
  EXPECT_EQ(list.containers_size(), 0);
}

TEST_F(ContainerStopTest, NoContainerRunsInAStoppedPodHoweverStartAndStopMeet) {
  for (int i = 0; i < 40; ++i) {
    std::string pod = node.RunPod("p" + std::to_string(i), [](auto& c) {
      c.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
      c.clear_hostname();
    });
    std::string id = node.Create(pod, "c", {"sleep", "1000"});
    auto started = std::async(std::launch::async, [&] { return node.TryStart(id); });
    std::this_thread::sleep_for(std::chrono::microseconds(i * 150));
    EXPECT_TRUE(node.TryStopPod(pod).ok());
    grpc::Status status = started.get();
    EXPECT_NE(node.Status(id).state(), cri::CONTAINER_RUNNING) << "start: " << status.error_message();
    node.RemovePod(pod);
  }
}

}  // namespace
}  // namespace wherry::e2e
