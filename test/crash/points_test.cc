// Each operation is killed, and made to fail, at each point that it reaches: wherryd is started again where it died, the kubelet goes on
// as it does, everything is removed, and the host has to be as it was before.
//
// WHERRY_CRASH_ALL=1 takes each point each time that it is reached, and in each way; otherwise it is each point once, in one of the ways.

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "test/crash/armed.h"
#include "test/crash/operations.h"
#include "test/e2e/census.h"
#include "test/integration/image/fake_registry.h"

namespace wherry::crash {
namespace {

namespace fs = std::filesystem;
using image::test::HttpServer;
using image::test::TarWriter;

enum class Way {
  kCrash,     // of the process that reaches the point
  kCrashAll,  // of wherryd and all shims at once, as soon as it is reached
  kFail,
};

const char* Name(Way way) { return way == Way::kCrash ? "crash" : way == Way::kCrashAll ? "crash of all" : "failure"; }

bool WantAll() { return getenv("WHERRY_CRASH_ALL") != nullptr; }

void RunProgram(std::vector<std::string> args, const std::string& output) {
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  pid_t pid = -1;
  ASSERT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
  posix_spawn_file_actions_destroy(&actions);
  waitpid(pid, nullptr, 0);
}

std::string Rules() {
  RunProgram({"/usr/sbin/nft", "list", "ruleset"}, "/mnt/rules");
  std::ifstream in("/mnt/rules");
  return {std::istreambuf_iterator<char>(in), {}};
}

void KillShims() {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "comm");
    std::string name;
    if (std::getline(in, name) && name == "wherry-shim") kill(std::stoi(entry.path().filename()), SIGKILL);
  }
}

class PointsTest : public testing::TestWithParam<Operation> {
 protected:
  void SetUp() override {
    if (GetParam().v2) {
      if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
        GTEST_SKIP() << "cgroups are of version 2 here: every operation sees such a host";
      ASSERT_EQ(mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, nullptr), 0) << strerror(errno);
    }
    image::test::ImageSpec image;
    image.layers = {TarWriter().Dir("d").File("d/a", "one").Bytes(), TarWriter().File("b", "two").Bytes()};
    image.name = kArchiveName;
    std::ofstream(kArchive) << image::test::OciArchive({image});
    ASSERT_NO_FATAL_FAILURE(NewNode());
  }
  void TearDown() override {
    points_.Disarm();
    if (node_ != nullptr && node_->pid() > 0 && HasFailure()) {
      // What is left would trouble the next test.
      node_->Kill9();
      node_->Start();
      NewKubelet().RemoveAll();
    }
    node_.reset();
    if (GetParam().v2 && !IsSkipped()) umount2("/sys/fs/cgroup", MNT_DETACH);
  }

  void NewNode() {
    node_ = std::make_unique<e2e::Node>();
    const std::string conflist = node_->dir() + "/net.d/10-test.conflist";
    std::ifstream in(conflist);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    text.replace(text.rfind("}]}"), 3, R"(}, {"type": "portmap", "capabilities": {"portMappings": true}}]})");
    std::ofstream(conflist) << text;
    ASSERT_NO_FATAL_FAILURE(node_->Start());
    ASSERT_NO_FATAL_FAILURE(node_->ImportImage("/mnt/busybox.tar", e2e::kImage));
    Kubelet warm = NewKubelet();  // bridge, tables and directories come to be
    ASSERT_NO_FATAL_FAILURE(warm.Sync());
    warm.RemoveAll();
    before_ = e2e::TakeAtRest(node_->dir(), node_->cgroup(), node_->pid());
    rules_ = Rules();
  }
  Kubelet NewKubelet() {
    Kubelet kubelet(*node_, registry_.host());
    kubelet.SetLimits(!GetParam().v2);
    kubelet.SetPod([](cri::PodSandboxConfig& config) {
      auto& port = *config.add_port_mappings();
      port.set_container_port(80);
      port.set_host_port(8080);
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
      if (GetParam().edit) GetParam().edit(config);
    });
    return kubelet;
  }

  // What there is before the operation, wherryd included unless its start is the operation.
  void Prepare(Kubelet& kubelet) {
    const Operation& operation = GetParam();
    for (const auto& step : operation.prepare) {
      const grpc::Status status = step(kubelet);
      ASSERT_TRUE(status.ok()) << "preparation: " << Describe(status);
    }
    if (!operation.start) return;
    if (!operation.dies_at.empty()) {
      points_.Arm(operation.dies_at, operation.dies_time, Action::kCrash);
      const grpc::Status status = operation.act(kubelet);
      ASSERT_TRUE(points_.fired()) << operation.dies_at << " is not reached: " << Describe(status);
      points_.Disarm();
    }
    node_->Kill9();
  }

  // A wherryd that may die while it starts: until it has answered, and what it does in the background has had time.
  grpc::Status StartAndLook() {
    const std::string config = node_->dir() + "/config.toml", log = node_->dir() + "/wherryd.log";
    const char* argv[] = {WHERRY_BIN_DIR "/wherryd", "--config", config.c_str(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, const_cast<char**>(argv), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    cri::VersionResponse response;
    grpc::CompletionQueue queue;
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = cri::RuntimeService::NewStub(grpc::CreateCustomChannel(
        "unix://" + node_->dir() + "/run/wherry.sock", grpc::InsecureChannelCredentials(), args));
    auto call = stub->AsyncVersion(&context, {}, &queue);
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false, ended = false;
    const auto poll = [&](int milliseconds) {
      return queue.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + std::chrono::milliseconds(milliseconds)) ==
             grpc::CompletionQueue::GOT_EVENT;
    };
    while (!(ended = waitpid(pid, nullptr, WNOHANG) == pid) && !poll(5)) {
    }
    for (int i = 0; i < 40 && !ended; ++i) {
      usleep(5000);
      ended = waitpid(pid, nullptr, WNOHANG) == pid;
    }
    context.TryCancel();
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
    if (!ended) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    return status;
  }

  grpc::Status Act(Kubelet& kubelet) { return GetParam().start ? StartAndLook() : GetParam().act(kubelet); }

  // The operation with what may happen at the point; wherryd runs afterwards.
  void ActAndRestart(Kubelet& kubelet, Way way) {
    std::future<grpc::Status> answer = std::async(std::launch::async, [&] { return Act(kubelet); });
    while (answer.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready && !points_.fired()) {
    }
    const bool all = way == Way::kCrashAll && points_.fired();
    if (all && !GetParam().start) node_->Kill9();
    if (all) KillShims();
    const grpc::Status status = answer.get();
    EXPECT_NE(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
    // What goes on in the background.
    for (int i = 0; i < 100 && !points_.fired(); ++i) usleep(2000);
    const bool died = way != Way::kFail && points_.fired() && points_.fired_in() == "wherryd";
    points_.Disarm();
    if (node_->pid() > 0 && (died || (way == Way::kCrashAll && points_.fired()))) {
      node_->Kill9();
      if (way == Way::kCrashAll) KillShims();
    }
    if (node_->pid() > 0) return;
    before_.daemon_fds = 0;
    ASSERT_NO_FATAL_FAILURE(node_->Start());
  }

  void GoOn(Kubelet& kubelet) {
    for (const auto& step : GetParam().again) {
      const grpc::Status status = step(kubelet);
      EXPECT_TRUE(status.ok()) << "once more: " << Describe(status);
    }
    ASSERT_NO_FATAL_FAILURE(kubelet.Sync());
    ASSERT_NO_FATAL_FAILURE(kubelet.RemoveAll());
  }

  void ExpectAsBefore() {
    std::string difference = "nothing was compared";
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    while (!difference.empty() && std::chrono::steady_clock::now() < end) {
      e2e::Census now = e2e::Take(node_->dir(), node_->cgroup(), node_->pid());
      if (before_.daemon_fds == 0) now.daemon_fds = 0;
      difference = e2e::Difference(before_, now);
      if (!difference.empty()) usleep(2000);
    }
    EXPECT_EQ(difference, "");
    EXPECT_EQ(Rules(), rules_);
  }

  std::vector<std::string> Reached() {
    Kubelet kubelet = NewKubelet();
    Prepare(kubelet);
    if (HasFailure()) return {};
    points_.Record();
    const grpc::Status status = Act(kubelet);
    EXPECT_TRUE(status.ok()) << Describe(status);
    usleep(100000);
    std::vector<std::string> reached = points_.Recorded();
    if (node_->pid() <= 0) node_->Start();
    before_.daemon_fds = 0;
    GoOn(kubelet);
    ExpectAsBefore();
    return reached;
  }

  void Try(const std::string& point, int time, Way way) {
    SCOPED_TRACE(std::string(Name(way)) + " at " + point + ", time " + std::to_string(time));
    const bool failed_before = HasFailure();
    Kubelet kubelet = NewKubelet();
    Prepare(kubelet);
    if (!HasFatalFailure()) {
      points_.Arm(point, time, way == Way::kFail ? Action::kFail : Action::kCrash);
      ActAndRestart(kubelet, way);
      if (!points_.fired()) ++missed_;
    }
    if (!HasFatalFailure()) GoOn(kubelet);
    if (!HasFatalFailure()) ExpectAsBefore();
    ++tried_;
    points_.Disarm();
    if (HasFailure() && !failed_before) PrintLog();
  }

  void PrintLog() {
    std::ifstream in(node_->dir() + "/wherryd.log");
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    for (size_t i = lines.size() > 25 ? lines.size() - 25 : 0; i < lines.size(); ++i)
      std::cerr << "wherryd| " << lines[i] << "\n";
  }

  Points points_;
  std::unique_ptr<e2e::Node> node_;
  e2e::Census before_;
  std::string rules_;
  int tried_ = 0, missed_ = 0;
  const image::test::RegistryImage image_ = image::test::MakeImage(
      {TarWriter().Dir("e").File("e/x", std::string(70000, 'x')).Bytes(), TarWriter().File("y", "y").Bytes()});
  HttpServer registry_{[this](const image::test::Request& request) { return Answer(image_, request); }};
};

TEST_P(PointsTest, LeaveTheHostAsItWas) {
  std::map<std::string, int> times;
  for (const std::string& point : Reached()) ++times[point];
  ASSERT_FALSE(times.empty());
  constexpr std::array kWays = {Way::kCrash, Way::kCrashAll, Way::kFail};
  size_t index = 0;
  for (const auto& [point, count] : times) {
    const Way one = kWays[index++ % kWays.size()];
    for (Way way : kWays) {
      for (int time = 1; time <= std::min(count, 20); ++time) {
        if (!WantAll() && (time != 1 || way != one)) continue;
        Try(point, time, way);
        if (HasFatalFailure()) return;
      }
    }
  }
  std::cout << times.size() << " points, " << tried_ << " tries, " << missed_ << " of them not reached again\n";
}

// What each step of one pod's operation may wait for: a slow umount, a disk, a plugin, a shim. It is waited for, and no other pod is
// held up. The database and the store of addresses are everybody's, and so are left out.
class HoldTest : public PointsTest {
 protected:
  // The whole life of another pod, and the lists.
  void ExpectOthersGoOn() {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    cri::ListContainerStatsResponse stats;
    const grpc::Status status = node_->runtime().ListContainerStats(&context, {}, &stats);
    EXPECT_TRUE(status.ok()) << Describe(status);
    const std::string pod = node_->RunPod("other");
    const std::string container = node_->Run(pod, "c", {"sleep", "1000"});
    EXPECT_EQ(node_->Exec(container, {"true"}).exit_code(), 0);
    EXPECT_TRUE(node_->TryStop(container, 0).ok());
    node_->RemovePod(pod);
  }
};

TEST_P(HoldTest, HoldsUpNobodyElse) {
  std::set<std::string> points;
  for (std::string& point : Reached())
    if (point.rfind("store.", 0) != 0 && point.rfind("ipam.", 0) != 0) points.insert(std::move(point));
  size_t index = 0;
  for (const std::string& point : points) {
    if (!WantAll() && index++ % 4 != 0) continue;
    SCOPED_TRACE("hold at " + point);
    Kubelet kubelet = NewKubelet();
    ASSERT_NO_FATAL_FAILURE(Prepare(kubelet));
    points_.Arm(point, 1, Action::kHold);
    auto answer = std::async(std::launch::async, [&] { return Act(kubelet); });
    while (answer.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready && !points_.fired()) {
    }
    if (points_.fired()) ExpectOthersGoOn();
    points_.Disarm();
    const grpc::Status status = answer.get();
    EXPECT_TRUE(status.ok()) << Describe(status);
    ASSERT_NO_FATAL_FAILURE(GoOn(kubelet));
    ExpectAsBefore();
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, HoldTest, testing::ValuesIn(OperationsToHold(WantAll())),
                         [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(Operations, PointsTest, testing::ValuesIn(AllOperations(WantAll())),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace wherry::crash
