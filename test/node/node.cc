#include "test/node/node.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/sys/child.h"

namespace wherry::node {
namespace {
namespace fs = std::filesystem;

// The host's process whose command line names `word`; a container's command carries its pod's name for that.
pid_t ProcessNaming(const std::string& word) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in("/proc/" + pid + "/cmdline");
    std::string line;
    std::getline(in, line);
    if (line.rfind("sleep", 0) == 0 && line.find(word) != std::string::npos) return std::stoi(pid);
  }
  return -1;
}

}  // namespace

Outcome Try(const std::vector<std::string>& command) {
  sys::Children children;
  sys::Children::Command run;
  run.program = "/usr/bin/env";
  run.arguments = command;
  run.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"};
  auto ended = children.Run(run, sys::Children::Clock::now() + std::chrono::minutes(5));
  if (!ended.ok()) return {-1, "", ended.status().ToString()};
  return {ended->status, ended->output, ended->errors};
}

std::string Do(const std::vector<std::string>& command) {
  std::string line;
  for (const auto& word : command) line += word + " ";
  const Outcome outcome = Try(command);
  EXPECT_EQ(outcome.status, 0) << line << "\n" << outcome.output << outcome.errors;
  return outcome.output;
}

std::string Unit(const std::string& property) {
  std::string value = Do({"systemctl", "show", "--value", "--property=" + property, "wherryd"});
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

void WaitForAnotherDaemon(const std::string& old) {
  Eventually("wherryd to be back",
             [&] { return Unit("ActiveState") == "active" && Unit("MainPID") != old && Unit("MainPID") != "0"; });
}

std::string RunPod(const std::string& name, const std::vector<std::string>& command) {
  std::vector<std::string> all = {"wherry", "run", "--detach", "--name", name, "busybox"};
  all.insert(all.end(), command.begin(), command.end());
  std::string id = Do(all);
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

nlohmann::json Pods() { return nlohmann::json::parse(Do({"wherry", "pods", "-o", "json"})); }
nlohmann::json Containers() { return nlohmann::json::parse(Do({"wherry", "ps", "-a", "-o", "json"})); }

void Eventually(const std::string& what, const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) FAIL() << "waited 60 s in vain for: " << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

namespace {

// Only hack/test.sh sets it, and only in its node.
const char* Image() { return getenv("WHERRY_NODE_IMAGE"); }

}  // namespace

void NodeTest::SetUpTestSuite() {
  if (Image() == nullptr) return;
  Do({"systemctl", "start", "wherryd"});
  Do({"wherry", "image", "import", Image()});
}

void NodeTest::SetUp() {
  ASSERT_TRUE(Image() != nullptr && fs::exists("/run/systemd/system"))
      << "these tests are for a node of their own: hack/test.sh node";
}

void NodeTest::RemoveAllPods() {
  std::vector<std::string> remove = {"wherry", "rm", "--force"};
  for (const auto& pod : Pods()) remove.push_back(pod["id"].get<std::string>());
  if (remove.size() > 3) Do(remove);
}

std::unique_ptr<Witnesses> WitnessedTest::witnesses_;

void WitnessedTest::SetUpTestSuite() {
  if (Image() == nullptr) return;
  NodeTest::SetUpTestSuite();
  witnesses_ = std::make_unique<Witnesses>(2);
}

void WitnessedTest::TearDownTestSuite() {
  if (witnesses_ != nullptr) RemoveAllPods();
  witnesses_.reset();
}

void WitnessedTest::TearDown() {
  if (HasFatalFailure()) return;
  witnesses().ExpectAlive();
  witnesses().ExpectServed();
}

Witnesses::Witnesses(int number) {
  for (int i = 0; i < number; ++i) {
    // 1000000.N seconds, so that no other sleep has the same command line.
    const std::string seconds = "1000000." + std::to_string(i);
    containers_.push_back(RunPod("witness" + std::to_string(i), {"sleep", seconds}));
    pids_.push_back(ProcessNaming(seconds));
    EXPECT_GT(pids_.back(), 0) << seconds;
  }
}

void Witnesses::ExpectAlive() const {
  for (pid_t pid : pids_) EXPECT_EQ(kill(pid, 0), 0) << "the process " << pid << " of a container is gone";
}

void Witnesses::ExpectServed() const {
  for (const auto& id : containers_) EXPECT_EQ(Do({"wherry", "exec", id, "echo", "here"}), "here\n");
}

}  // namespace wherry::node
