// ExecSync: what bounds a command, and what is left of it.

#include <gmock/gmock.h>

#include <chrono>
#include <fstream>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ContainerExecTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    container_ = node.Run(node.RunPod("p"), "c", {"sleep", "5000"});
  }
  grpc::Status Exec(const std::string& script, int64_t timeout, milliseconds client_deadline,
                    cri::ExecSyncResponse* response) {
    cri::ExecSyncRequest request;
    request.set_container_id(container_);
    for (const auto& word : {std::string("sh"), std::string("-c"), script}) request.add_cmd(word);
    request.set_timeout(timeout);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + client_deadline);
    return node.runtime().ExecSync(&context, request, response);
  }
  // Only the container's own program is left, with the one that looks.
  void ExpectNothingLeft() {
    std::string left;
    Eventually("the command to be gone", [&] {
      left = node.Exec(container_, {"sh", "-c", "ps | grep '[s]leep 1' || true"}).stdout();
      return left.empty();
    });
    EXPECT_EQ(left, "");
  }
  std::string container_;
  cri::ExecSyncResponse response_;
};

// KUBELET G44: DeadlineExceeded at the timeout, the process killed.
TEST_F(ContainerExecTest, ATimeoutEndsTheWholeCommand) {
  auto status =
      Exec("sleep 1001 & setsid sleep 1002 & (sleep 1003 | sleep 1004) & sleep 1005", 1, seconds(60), &response_);
  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  ExpectNothingLeft();
  EXPECT_EQ(node.Status(container_).state(), cri::CONTAINER_RUNNING);
}

TEST_F(ContainerExecTest, ACommandThatNobodyWaitsForEnds) {
  auto status = Exec("sleep 1001 & sleep 1002", 0, milliseconds(500), &response_);
  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  ExpectNothingLeft();
}

TEST_F(ContainerExecTest, ABackgroundChildWithThePipeHoldsNobodyUp) {
  auto status = Exec("echo said; echo wrong >&2; sleep 2000 & exit 3", 60, seconds(60), &response_);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.exit_code(), 3);
  EXPECT_EQ(response_.stdout(), "said\n");
  EXPECT_EQ(response_.stderr(), "wrong\n");
}

// The most memory that the process has had, in MiB.
size_t PeakMemory(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  size_t kb = 0;
  for (std::string word; in >> word;)
    if (word == "VmHWM:") in >> kb;
  return kb >> 10;
}

TEST_F(ContainerExecTest, OutputBeyondTheLimitIsCutToWhatAClientTakes) {
  const size_t before = PeakMemory(node.pid());
  auto status = Exec("head -c 80000000 /dev/zero; head -c 20000000 /dev/zero >&2; exit 4", 60, seconds(60), &response_);
  EXPECT_LT(PeakMemory(node.pid()), before + 100);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.exit_code(), 4);
  EXPECT_GE(response_.stdout().size(), size_t{7} << 20);
  EXPECT_GE(response_.stderr().size(), size_t{7} << 20);
  EXPECT_LE(response_.ByteSizeLong(), size_t{16} << 20);
}

TEST_F(ContainerExecTest, OneFullStreamMayFillTheAnswer) {
  auto status = Exec("head -c 20000000 /dev/zero; echo short >&2", 60, seconds(60), &response_);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_GE(response_.stdout().size(), size_t{15} << 20);
  EXPECT_EQ(response_.stderr(), "short\n");
}

// Streams that nobody asked for are the host's null device, and so are masks of files: root in a container may read and write
// it, but not change it for the host. (The mode that is asked for is the one that it has. Not a file below /proc: there AppArmor denies it all.)
TEST_F(ContainerExecTest, RootCannotChangeTheHostsNullDevice) {
  const std::string c = node.Run(node.RunPod("masked"), "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
    config.mutable_linux()->mutable_security_context()->add_masked_paths("/etc/hosts");
  });
  for (const char* path : {"/proc/1/fd/0", "/proc/self/fd/0", "/etc/hosts"}) {
    const auto response = node.Exec(c, {"chmod", "666", path});
    EXPECT_THAT(response.stderr(), testing::HasSubstr("Read-only file system")) << path;
  }
  const auto response = node.Exec(c, {"sh", "-c", "echo x >/etc/hosts && wc -c </proc/1/fd/0"});
  EXPECT_EQ(response.stdout(), "0\n") << response.stderr();
}

}  // namespace
}  // namespace wherry::e2e
