// wherryd is killed and comes back: nothing that runs may notice.

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "test/e2e/census.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

class RestartTest : public NodeTest {};

// The process whose command line has both words.
pid_t ProcessWith(const std::string& program, const std::string& word) {
  for (const auto& e : std::filesystem::directory_iterator("/proc")) {
    std::string pid = e.path().filename(), line;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in("/proc/" + pid + "/cmdline");
    std::getline(in, line);
    if (line.find(program) != std::string::npos && line.find(word) != std::string::npos) return std::stoi(pid);
  }
  return -1;
}

// KUBELET 39
TEST_F(RestartTest, TwentyPodsSurviveKill9OfTheDaemon) {
  std::map<std::string, std::string> pods;  // pod → container
  for (int i = 0; i < 20; ++i) {
    std::string pod = node.RunPod("p" + std::to_string(i));
    pods[pod] = node.Run(pod, "count", {"sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); usleep 100000; done"});
  }
  std::string doomed_pod = pods.begin()->first;
  std::string doomed =
      node.Run(doomed_pod, "doomed", {"sh", "-c", "while [ ! -e /tmp/end ]; do usleep 10000; done; exit 42"});
  std::map<std::string, std::string> pids;
  for (const auto& [pod, c] : pods) pids[c] = node.Exec(c, {"cat", "/proc/1/stat"}).stdout();

  // `doomed` must end while nobody is there to see it: the command that lets it end comes in just before the
  // kill.
  cri::ContainerStatus before = node.Status(doomed);
  node.Exec(doomed, {"sh", "-c", "(usleep 300000; touch /tmp/end) >/dev/null 2>&1 &"});
  node.Kill9();
  std::string log = node.log_dir() + "/p0/count.log";
  const uintmax_t size = std::filesystem::file_size(log);
  Eventually("the containers' logs to grow without wherryd",
             [&] { return std::filesystem::file_size(log) > size + 500; });
  ASSERT_NO_FATAL_FAILURE(node.Start());

  cri::ListPodSandboxResponse list;
  grpc::ClientContext ctx;
  ASSERT_TRUE(node.runtime().ListPodSandbox(&ctx, {}, &list).ok());
  EXPECT_EQ(list.items_size(), 20);
  for (const auto& p : list.items()) EXPECT_EQ(p.state(), cri::SANDBOX_READY);
  auto ended = node.WaitExited(doomed);
  EXPECT_EQ(ended.exit_code(), 42);
  EXPECT_EQ(ended.started_at(), before.started_at());
  for (const auto& [pod, c] : pods) {
    EXPECT_EQ(node.Status(c).state(), cri::CONTAINER_RUNNING);
    // The 22nd field of stat is the start time: the same process, not a new one.
    auto field = [](std::string s) {
      for (int i = 1; i < 22; ++i) s.erase(0, s.find(' ') + 1);
      return s.substr(0, s.find(' '));
    };
    EXPECT_EQ(field(node.Exec(c, {"cat", "/proc/1/stat"}).stdout()), field(pids[c]));
    std::istringstream lines(node.LogText(c));
    int expected = 0, got = 0;
    while (lines >> got) ASSERT_EQ(got, expected++) << "a gap in the log of " << c;
    EXPECT_GT(expected, 10);
  }
}

TEST_F(RestartTest, PodsAreStoppedAndRemovedByTheNextDaemonWithNothingLeft) {
  std::string warm = node.RunPod("warm");  // bridge and directories come to be
  node.Run(warm, "c", {"true"});
  node.RemovePod(warm);
  Census before = TakeAtRest(node.dir(), node.cgroup(), node.pid());
  std::string pod = node.RunPod("p");
  node.Run(pod, "c", {"sleep", "1000"});
  node.Kill9();
  ASSERT_NO_FATAL_FAILURE(node.Start());
  node.RemovePod(pod);
  std::string difference;
  Census after;
  before.daemon_fds = 0;
  Eventually("the host to be as before", [&] {
    after = Take(node.dir(), node.cgroup(), node.pid());
    after.daemon_fds = 0;
    return (difference = Difference(before, after)).empty();
  });
  EXPECT_EQ(difference, "");
}

TEST_F(RestartTest, KilledShimEndsItsPodAndNothingElse) {
  std::string pod = node.RunPod("p"), other = node.RunPod("other");
  std::string c = node.Run(pod, "c", {"sleep", "1000"}), alive = node.Run(other, "c", {"sleep", "1000"});
  pid_t shim = ProcessWith("wherry-shim", pod);
  ASSERT_GT(shim, 0);
  ASSERT_EQ(kill(shim, SIGKILL), 0);
  auto s = node.WaitExited(c);
  EXPECT_NE(s.exit_code(), 0);
  Eventually("the pod to be NOT_READY", [&] {
    cri::PodSandboxStatusRequest req;
    req.set_pod_sandbox_id(pod);
    cri::PodSandboxStatusResponse resp;
    grpc::ClientContext ctx;
    return node.runtime().PodSandboxStatus(&ctx, req, &resp).ok() && resp.status().state() == cri::SANDBOX_NOTREADY;
  });
  EXPECT_EQ(node.Exec(alive, {"true"}).exit_code(), 0);
  node.RemovePod(pod);
}

}  // namespace
}  // namespace wherry::e2e
