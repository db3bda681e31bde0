// wherryd is killed, and made to fail, at each point of the systemd driver, which only a node like this one reaches (test/crash has all
// others): systemd starts it again, the request is made once more, everything is removed, and the node has to be as it was.
//
// WHERRY_CRASH_ALL=1 takes each point each time that it is reached, and in both ways; otherwise it is each point once, in one of them.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "api/cri/v1/api.grpc.pb.h"
#include "test/crash/armed.h"
#include "test/node/node.h"

namespace wherry::node {
namespace {
namespace fs = std::filesystem;
namespace cri = ::runtime::v1;
using crash::Action;

constexpr int64_t kMemory = 48 << 20;

// What pods leave on a node if they leave anything: units, cgroups, directories, mounts and processes.
std::set<std::string> Traces() {
  std::set<std::string> traces;
  std::istringstream units(Do({"systemctl", "list-units", "--all", "--plain", "--no-legend", "wherry-*"}));
  for (std::string line; std::getline(units, line);) traces.insert("unit " + line.substr(0, line.find(' ')));
  std::error_code error;
  for (const char* root : {"/sys/fs/cgroup/wherry.slice", "/run/wherry", "/run/netns", "/var/lib/wherry/pods",
                           "/var/lib/wherry/containers", "/var/lib/wherry/trash", "/var/lib/cni"}) {
    fs::recursive_directory_iterator it(root, error), end;
    for (; !error && it != end; it.increment(error))
      if (it->is_directory(error) || it->path().string().rfind("/sys", 0) != 0) traces.insert(it->path());
  }
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);)
    if (line.find("wherry") != std::string::npos) traces.insert("mount " + line);
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::string name;
    if (std::getline(std::ifstream(entry.path() / "comm") >> std::ws, name) && name == "wherry-shim")
      traces.insert("shim " + entry.path().filename().string());
  }
  return traces;
}

std::string Difference(const std::set<std::string>& before, const std::set<std::string>& now) {
  std::string out;
  for (const auto& trace : now)
    if (before.count(trace) == 0) out += "\nnew: " + trace;
  for (const auto& trace : before)
    if (now.count(trace) == 0) out += "\ngone: " + trace;
  return out;
}

// wherryd with fail points as the service, for as long as this lives.
class FailingService {
 public:
  FailingService() {
    fs::create_directories(kDropIn);
    std::ofstream(fs::path(kDropIn) / "points.conf")
        << "[Service]\nExecStart=\nExecStart=" WHERRY_BIN_DIR "/fail/wherryd\nRestartSec=0\n";
    Reload();
  }
  FailingService(const FailingService&) = delete;
  FailingService& operator=(const FailingService&) = delete;
  ~FailingService() {
    fs::remove_all(kDropIn);
    Reload();
  }

 private:
  static constexpr char kDropIn[] = "/run/systemd/system/wherryd.service.d";
  static void Reload() {
    Do({"systemctl", "daemon-reload"});
    Do({"systemctl", "restart", "wherryd"});
  }
};

// What is asked for, and what it answers: empty if it is done.
std::string Asked(const std::vector<std::string>& command) {
  const Outcome outcome = Try(command);
  return outcome.status == 0 ? "" : outcome.errors + " status " + std::to_string(outcome.status);
}

std::string StartPod() { return Asked({"wherry", "run", "--detach", "--memory", "32m", "busybox", "sleep", "1000"}); }

std::string RemovePods() {
  std::string errors;
  for (const auto& pod : Pods()) errors += Asked({"wherry", "rm", "--force", pod["id"].get<std::string>()});
  return errors;
}

std::string SetMemory() {
  const auto stub = cri::RuntimeService::NewStub(
      grpc::CreateChannel("unix:///run/wherry/wherry.sock", grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  cri::UpdateContainerResourcesRequest request;
  cri::UpdateContainerResourcesResponse response;
  request.set_container_id(Containers()[0]["id"]);
  request.mutable_linux()->set_memory_limit_in_bytes(kMemory);
  request.mutable_linux()->set_memory_swap_limit_in_bytes(kMemory);
  const grpc::Status status = stub->UpdateContainerResources(&context, request, &response);
  return status.ok() ? "" : "UpdateContainerResources: " + status.error_message();
}

std::string MemoryMax() {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator("/sys/fs/cgroup/wherry.slice", error)) {
    if (entry.path().extension() != ".scope") continue;
    std::string text;
    std::ifstream(entry.path() / "memory.max") >> text;
    return text;
  }
  return "no scope";
}

struct Operation {
  std::string name;
  bool on_pod;  // that runs already
  std::function<std::string()> act;
};

class SystemdPointsTest : public NodeTest, public testing::WithParamInterface<Operation> {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    service_ = std::make_unique<FailingService>();
    ASSERT_EQ(StartPod(), "");  // slices and directories come to be
    ASSERT_EQ(RemovePods(), "");
    before_ = Traces();
  }
  void TearDown() override {
    points_.Disarm();
    if (service_ != nullptr) RemovePods();
  }

  void Prepare() {
    if (GetParam().on_pod) {
      EXPECT_EQ(StartPod(), "");
    }
  }

  std::map<std::string, int> Reached() {
    Prepare();
    points_.Record();
    EXPECT_EQ(GetParam().act(), "");
    std::map<std::string, int> times;
    for (const std::string& name : points_.Recorded())
      if (name.rfind("unit.", 0) == 0 || name.rfind("scope.", 0) == 0) ++times[name];
    EXPECT_EQ(RemovePods(), "");
    return times;
  }

  void TryAt(const std::string& point, int time, Action action) {
    SCOPED_TRACE((action == Action::kCrash ? "crash at " : "failure at ") + point + ", time " + std::to_string(time));
    Prepare();
    const std::string daemon = Unit("MainPID");
    points_.Arm(point, time, action);
    (void)GetParam().act();
    if (action == Action::kCrash && points_.fired()) WaitForAnotherDaemon(daemon);
    points_.Disarm();
    ++(points_.fired() ? fired_ : missed_);
    if (!GetParam().on_pod) {
      EXPECT_EQ(RemovePods(), "");
    }
    EXPECT_EQ(GetParam().act(), "") << "once more";
    if (GetParam().name == "Update") {
      EXPECT_EQ(MemoryMax(), std::to_string(kMemory));
    }
    EXPECT_EQ(RemovePods(), "");
    std::string difference;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    do difference = Difference(before_, Traces());
    while (!difference.empty() && std::chrono::steady_clock::now() < end);
    EXPECT_EQ(difference, "");
  }

  crash::Points points_;
  std::unique_ptr<FailingService> service_;
  std::set<std::string> before_;
  int fired_ = 0, missed_ = 0;
};

TEST_P(SystemdPointsTest, LeaveTheNodeAsItWas) {
  const bool all = getenv("WHERRY_CRASH_ALL") != nullptr;
  const std::map<std::string, int> times = Reached();
  ASSERT_FALSE(times.empty());
  int index = 0;
  for (const auto& [point, count] : times) {
    const Action one = index++ % 2 == 0 ? Action::kCrash : Action::kFail;
    for (const Action action : {Action::kCrash, Action::kFail}) {
      for (int time = 1; time <= count; ++time) {
        if (!all && (time != 1 || action != one)) continue;
        TryAt(point, time, action);
        if (HasFailure()) return;
      }
    }
  }
  std::cout << times.size() << " points, " << fired_ << " tries, " << missed_
            << " more never reached or without an error to return\n";
  EXPECT_GT(fired_, 0);
}

void PrintTo(const Operation& operation, std::ostream* out) { *out << operation.name; }

INSTANTIATE_TEST_SUITE_P(Operations, SystemdPointsTest,
                         testing::Values(Operation{"Start", false, StartPod}, Operation{"Update", true, SetMemory},
                                         Operation{"Remove", true, RemovePods}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace wherry::node
