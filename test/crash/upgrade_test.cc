// A wherryd of another version than the shims that it finds: older ones go on under it; those that speak nothing that it understands
// cost their own pods and nothing else.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "test/crash/nothing_left_test.h"

namespace wherry::crash {
namespace {

namespace cri = ::runtime::v1;
namespace fs = std::filesystem;
using testing::HasSubstr;

class UpgradeTest : public NothingLeftTest {
 protected:
  // Another wherryd, which finds its programs in `directory`, or beside itself.
  void RestartWith(const std::string& directory) {
    const std::string path = node.dir() + "/config.toml";
    std::ifstream in(path);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    in.close();
    if (text.rfind("libexec_dir", 0) == 0) text.erase(0, text.find('\n') + 1);
    std::ofstream(path) << (directory.empty() ? text : "libexec_dir = \"" + directory + "\"\n" + text);
    node.Kill9();
    ASSERT_NO_FATAL_FAILURE(node.Start());
  }
  // All programs, with the other shim among them.
  std::string DirectoryWith(const std::string& shim) const {
    std::string out = node.dir() + "/other";
    fs::create_directories(out);
    fs::copy_file(WHERRY_BIN_DIR "/wherry-pull", out + "/wherry-pull", fs::copy_options::overwrite_existing);
    fs::copy_file(WHERRY_BIN_DIR "/other-shims/" + shim + "/wherry-shim", out + "/wherry-shim",
                  fs::copy_options::overwrite_existing);
    return out;
  }
  grpc::Status Attach(const std::string& container) {
    cri::AttachRequest request;
    request.set_container_id(container);
    request.set_stdout(true);
    cri::AttachResponse response;
    grpc::ClientContext context;
    return node.runtime().Attach(&context, request, &response);
  }
  cri::PodSandboxState StateOf(const std::string& pod) {
    cri::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    cri::PodSandboxStatusResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.runtime().PodSandboxStatus(&context, request, &response).ok());
    return response.status().state();
  }
};

TEST_F(UpgradeTest, ShimsOfTheFirstVersionGoOnUnderTodaysWherryd) {
  ASSERT_NO_FATAL_FAILURE(RestartWith(DirectoryWith("first")));
  const std::string old = node.RunPod("old");
  const std::string running =
      node.Run(old, "running", {"sh", "-c", "trap 'exit 7' TERM; echo one; while :; do usleep 10000; done"});
  const std::string created = node.Create(old, "created", {"sh", "-c", "echo created; exit 5"});
  e2e::Eventually("the log", [&] { return node.LogText(running) == "one\n"; });

  ASSERT_NO_FATAL_FAILURE(RestartWith(""));
  EXPECT_EQ(StateOf(old), cri::SANDBOX_READY);
  EXPECT_EQ(node.Status(running).state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(node.Exec(running, {"sh", "-c", "exit 3"}).exit_code(), 3);
  node.StartContainer(created);
  EXPECT_EQ(node.WaitExited(created).exit_code(), 5);
  EXPECT_EQ(node.LogText(created), "created\n");
  const std::string another = node.RunPod("new");
  EXPECT_EQ(node.Exec(node.Run(another, "c", {"sleep", "1000"}), {"true"}).exit_code(), 0);
  EXPECT_TRUE(node.TryStop(running, 30).ok());
  EXPECT_EQ(node.Status(running).exit_code(), 7);
  node.RemovePod(old);
  node.RemovePod(another);
  fs::remove_all(node.dir() + "/other");
  ExpectNothingLeft();
}

TEST_F(UpgradeTest, ShimsThatSpeakOnlyALaterVersionCostTheirPodsAndNothingElse) {
  const std::string known = node.RunPod("known");
  const std::string lives = node.Run(known, "c", {"sleep", "1000"});
  ASSERT_NO_FATAL_FAILURE(RestartWith(DirectoryWith("later")));
  const std::string later = node.RunPod("later");
  const std::string lost = node.Run(later, "c", {"sleep", "1000"});
  ASSERT_NO_FATAL_FAILURE(RestartWith(""));
  EXPECT_EQ(StateOf(later), cri::SANDBOX_NOTREADY);
  EXPECT_EQ(node.Status(lost).state(), cri::CONTAINER_EXITED);
  EXPECT_THAT(node.Status(lost).message(), HasSubstr("this shim speaks versions"));
  EXPECT_EQ(StateOf(known), cri::SANDBOX_READY);
  EXPECT_EQ(node.Exec(lives, {"true"}).exit_code(), 0);
  node.RemovePod(node.RunPod("another"));
  node.RemovePod(later);
  node.RemovePod(known);
  fs::remove_all(node.dir() + "/other");
  ExpectNothingLeft();
}

}  // namespace
}  // namespace wherry::crash
