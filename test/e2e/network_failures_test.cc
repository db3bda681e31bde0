// Plugins that fail, hang or are interrupted: the pod's network is taken down in the end, whoever has to try again.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "test/e2e/census.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A second plugin behind bridge, a shell script: it passes on what it got and does what the test says.
class NetworkFailuresTest : public NodeTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(NodeTest::SetUp());
    node.Kill9();
    fs::create_directories(node.dir() + "/bin");
    Edit(node.dir() + "/config.toml", "bin_dirs = [", "bin_dirs = [\"" + node.dir() + "/bin\", ");
    Edit(node.dir() + "/net.d/10-test.conflist", "]}}]}",  // the end of the list's only plugin
         "]}}, {\"type\": \"script\"}]}");
    Script("true");
    ASSERT_NO_FATAL_FAILURE(node.Start());
    const std::string warm = node.RunPod("warm");  // bridge and directories come to be
    node.Run(warm, "c", {"true"});
    node.RemovePod(warm);
    before_ = TakeAtRest(node.dir(), node.cgroup(), node.pid());
    before_.daemon_fds = 0;
  }
  void TearDown() override {
    Script("true");
    NodeTest::TearDown();
  }

  static void Edit(const std::string& path, const std::string& from, const std::string& to) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    std::string all = text.str();
    const size_t at = all.find(from);
    ASSERT_NE(at, std::string::npos) << from << " in " << all;
    std::ofstream(path) << all.replace(at, from.size(), to);
  }
  void Script(const std::string& act) const {
    const std::string path = node.dir() + "/bin/script", tmp = node.dir() + "/script.new";
    // The previous result is the last member of the document that wherryd writes: keys are sorted, "type" follows.
    std::ofstream(tmp) << "#!/bin/sh\nread -r input\nhere=" + node.dir() + "\n" + act +
                              "\n[ $CNI_COMMAND != ADD ] || echo \"$input\" | "
                              "sed 's/^.*\"prevResult\"://; s/,\"type\":\"script\"}$//'\n";
    chmod(tmp.c_str(), 0755);
    fs::rename(tmp, path);
  }

  grpc::Status RunPod(const std::string& name) {
    cri::RunPodSandboxRequest req;
    *req.mutable_config() = node.PodConfig(name);
    cri::RunPodSandboxResponse resp;
    grpc::ClientContext ctx;
    return node.runtime().RunPodSandbox(&ctx, req, &resp);
  }
  std::vector<cri::PodSandbox> Pods() {
    cri::ListPodSandboxResponse resp;
    grpc::ClientContext ctx;
    EXPECT_TRUE(node.runtime().ListPodSandbox(&ctx, {}, &resp).ok());
    return {resp.items().begin(), resp.items().end()};
  }
  Census Now() {
    Census census = Take(node.dir(), node.cgroup(), node.pid());
    census.daemon_fds = 0;
    return census;
  }
  void ExpectNothingLeft() {
    std::string difference;
    Eventually("the host to be as before", [&] { return (difference = Difference(before_, Now())).empty(); });
    EXPECT_EQ(difference, "");
  }
  Census before_;
};

TEST_F(NetworkFailuresTest, AStopWhoseDelFailedIsTriedAgain) {
  std::string pod = node.RunPod("p");
  const std::string c = node.Run(pod, "c", {"sleep", "1000"});
  Script("[ $CNI_COMMAND != DEL ] || { echo switch is away >&2; exit 1; }");
  for (int i = 0; i < 2; ++i) {
    grpc::Status st = node.TryStopPod(pod);
    EXPECT_FALSE(st.ok());
    EXPECT_THAT(st.error_message(), HasSubstr("switch is away"));
  }
  EXPECT_EQ(node.Status(c).state(), cri::CONTAINER_EXITED) << "a stuck plugin keeps no container alive";
  EXPECT_TRUE(fs::exists(node.dir() + "/run/netns/" + pod)) << "the next DEL needs it";
  ASSERT_EQ(Pods().size(), 1u);
  EXPECT_EQ(Pods()[0].state(), cri::SANDBOX_NOTREADY);
  Script("true");
  EXPECT_TRUE(node.TryStopPod(pod).ok());
  EXPECT_FALSE(fs::exists(node.dir() + "/run/netns/" + pod));
  node.RemovePod(pod);
  ExpectNothingLeft();
}

TEST_F(NetworkFailuresTest, APodThatCannotBeUndoneStaysVisible) {
  Script("echo no luck >&2; exit 1");
  grpc::Status st = RunPod("p");
  EXPECT_FALSE(st.ok());
  EXPECT_THAT(st.error_message(), HasSubstr("no luck"));
  auto pods = Pods();
  ASSERT_EQ(pods.size(), 1u) << "or nobody would ever release its address";
  EXPECT_EQ(pods[0].state(), cri::SANDBOX_NOTREADY);
  Script("true");
  node.RemovePod(pods[0].id());
  ExpectNothingLeft();
}

TEST_F(NetworkFailuresTest, APluginThatOutlivesItsDaemonIsEndedByTheNext) {
  Script("[ $CNI_COMMAND != ADD ] || { touch $here/logs/adding; sleep 1000; }");
  fs::create_directories(node.log_dir());
  std::thread run([&] { EXPECT_FALSE(RunPod("p").ok()); });
  Eventually("the plugin to hang", [&] { return fs::exists(node.log_dir() + "/adding"); });
  node.Kill9();
  run.join();
  ASSERT_NO_FATAL_FAILURE(node.Start());
  ExpectNothingLeft();
  EXPECT_TRUE(Pods().empty());
}

TEST_F(NetworkFailuresTest, AHangingPluginKeepsNeitherOtherPodsNorTheNextDaemonWaiting) {
  std::string good = node.RunPod("good"), bad = node.RunPod("bad");
  Script("case $CNI_COMMAND$CNI_CONTAINERID in DEL" + bad + ") touch $here/logs/hangs; sleep 1000;; esac");
  fs::create_directories(node.log_dir());
  std::thread stop([&] { EXPECT_FALSE(node.TryStopPod(bad).ok()); });
  Eventually("the plugin to hang", [&] { return fs::exists(node.log_dir() + "/hangs"); });
  EXPECT_TRUE(node.TryStopPod(good).ok());
  node.Kill9();
  stop.join();
  ASSERT_NO_FATAL_FAILURE(node.Start());  // its recovery hangs in the same way
  node.RemovePod(good);
  node.RemovePod(node.RunPod("another"));
  EXPECT_EQ(Pods().size(), 1u);
  node.Kill9();
  Script("true");
  ASSERT_NO_FATAL_FAILURE(node.Start());
  node.RemovePod(bad);
  ExpectNothingLeft();
}

// KUBELET 3: who gave up waiting asks again for the same pod, and gets the one that is being made.
TEST_F(NetworkFailuresTest, ARetryGetsThePodThatAnImpatientCallBegan) {
  Script("[ $CNI_COMMAND != ADD ] || { echo >>$here/logs/adds; until [ -e $here/logs/go ]; do sleep 0.01; done; }");
  fs::create_directories(node.log_dir());
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = node.PodConfig("p");
  cri::RunPodSandboxResponse response;
  grpc::ClientContext impatient;
  std::thread first(
      [&] { EXPECT_FALSE(node.runtime().RunPodSandbox(&impatient, request, &response).ok()) << "it had given up"; });
  Eventually("the plugin to be asked", [&] { return fs::exists(node.log_dir() + "/adds"); });
  impatient.TryCancel();
  first.join();
  std::thread second([&] {
    const grpc::Status status = RunPod("p");
    EXPECT_TRUE(status.ok()) << status.error_message();
  });
  std::ofstream(node.log_dir() + "/go") << std::flush;
  second.join();
  ASSERT_EQ(Pods().size(), 1u);
  EXPECT_EQ(Pods()[0].state(), cri::SANDBOX_READY);
  EXPECT_EQ(fs::file_size(node.log_dir() + "/adds"), 1u) << "the network was added once for each call";
}

// A lost database must not mean lost addresses.
TEST_F(NetworkFailuresTest, PodsThatNoRecordExplainsAreTakenDownWithTheirNetwork) {
  node.RunPod("p");
  node.RunPod("q");
  node.Kill9();
  for (const auto& e : fs::directory_iterator(node.dir() + "/lib"))
    if (e.path().filename().string().rfind("wherry.db", 0) == 0) fs::remove(e.path());
  const std::string foreign = node.dir() + "/cni/results/other-" + std::string(64, 'b') + "-eth0";
  std::ofstream(foreign) << R"({"kind":"cniCacheV1","containerId":")" + std::string(64, 'b') +
                                R"(","netns":"/run/netns/x","networkName":"other"})";
  ASSERT_NO_FATAL_FAILURE(node.Start());
  const Census with_foreign = [&] {
    Census census = before_;
    census.files.insert(foreign.substr(node.dir().size()));
    return census;
  }();
  std::string difference;
  Eventually("the pods to be gone", [&] { return (difference = Difference(with_foreign, Now())).empty(); });
  EXPECT_EQ(difference, "") << "another runtime's entry is not ours";
  EXPECT_TRUE(Pods().empty());
}

// A reference to the namespace, as a connection with unsent data or a copy of its pin in a container's mount table is one.
TEST_F(NetworkFailuresTest, TheInterfaceGoesEvenIfSomethingHoldsThePodsNamespace) {
  std::string pod = node.RunPod("held");
  const std::string c = node.Run(pod, "c", {"sleep", "1000"});
  const int held = open((node.dir() + "/run/netns/" + pod).c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(held, 0) << strerror(errno);
  node.RemovePod(pod);
  Eventually("the interface to go", [&] { return Now().links == before_.links; });
  close(held);
}

}  // namespace
}  // namespace wherry::e2e
