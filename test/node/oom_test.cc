// What is killed for memory is said to be, whoever is quicker. The kernel's count of it is in the container's cgroup, which systemd removes
// with the last process. A shim that is stopped meanwhile is slower than systemd for certain.

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "test/node/node.h"

namespace wherry::node {
namespace {
namespace fs = std::filesystem;

// The cgroup of a container: a scope, which has its id in its name.
fs::path ScopeOf(const std::string& container) {
  std::error_code error;
  fs::recursive_directory_iterator it("/sys/fs/cgroup/wherry.slice", error), end;
  for (; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (it->path().extension() == ".scope" && name.find(container) != std::string::npos) return it->path();
  }
  return {};
}

pid_t ParentOf(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; in >> word;) {
    pid_t parent = 0;
    if (word == "PPid:" && in >> parent) return parent;
  }
  return -1;
}

// A shim that does nothing for as long as this lives.
class StoppedShim {
 public:
  explicit StoppedShim(const fs::path& scope) {
    pid_t init = 0;
    std::ifstream(scope / "cgroup.procs") >> init;
    pid_ = ParentOf(init);
    std::string name;
    std::ifstream("/proc/" + std::to_string(pid_) + "/comm") >> name;
    EXPECT_EQ(name, "wherry-shim");
    EXPECT_EQ(kill(pid_, SIGSTOP), 0);
  }
  StoppedShim(const StoppedShim&) = delete;
  StoppedShim& operator=(const StoppedShim&) = delete;
  ~StoppedShim() { kill(pid_, SIGCONT); }

 private:
  pid_t pid_ = -1;
};

std::string StateOf(const std::string& container) {
  for (const auto& row : Containers())
    if (row["id"] == container) return row["state"];
  return "gone";
}

class OomTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    fs::create_directory(files_);
  }
  void TearDown() override {
    RemoveAllPods();
    fs::remove_all(files_);
  }

  // The state of a container at whose end systemd was quicker than the shim. It does `last` when it is told to.
  std::string EndBehindSystemd(const std::string& last) {
    std::string container = Do({"wherry", "run", "--detach", "--memory", "32m", "--volume", files_.string() + ":/files",
                                "busybox", "sh", "-c", "until [ -e /files/go ]; do usleep 100000; done; " + last});
    container.pop_back();
    const fs::path scope = ScopeOf(container);
    EXPECT_FALSE(scope.empty()) << container;
    if (scope.empty()) return "without a scope";
    {
      const StoppedShim shim(scope);
      std::ofstream(files_ / "go").flush();
      Eventually("systemd to remove the scope", [&] { return !fs::exists(scope); });
    }
    std::string state;
    Eventually("the container's end", [&] { return (state = StateOf(container)).rfind("Exited", 0) == 0; });
    return state;
  }

 private:
  const fs::path files_ = "/var/tmp/oom";
};

constexpr char kGreedy[] = "dd if=/dev/zero of=/dev/null bs=128M count=1";

TEST_F(OomTest, WhatIsKilledForMemoryIsSaidToBeThoughItsCgroupIsGone) {
  EXPECT_EQ(EndBehindSystemd(std::string("exec ") + kGreedy), "Exited (137, OOMKilled)");
}

TEST_F(OomTest, SoIsAShellWhoseCommandWasKilled) {
  EXPECT_EQ(EndBehindSystemd(std::string(kGreedy) + "; exit $?"), "Exited (137, OOMKilled)");
}

TEST_F(OomTest, WhatEndsWithThatCodeByItselfIsNot) { EXPECT_EQ(EndBehindSystemd("exit 137"), "Exited (137)"); }

}  // namespace
}  // namespace wherry::node
