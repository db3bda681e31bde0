// The systemd driver on a host that systemd has booted: what it makes is systemd's as well as ours.

#include "runtime/cgroup/systemd.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/integration/cgroup/support.h"

namespace wherry::cgroup {
namespace {

class SystemdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!IsBootedWithSystemd()) GTEST_SKIP() << "this host was not booted with systemd";
    auto v2 = OpenCgroupfs();
    ASSERT_TRUE(v2.ok()) << v2.status();
    ASSERT_EQ((*v2)->layout(), "v2");
    const char* programs = getenv("WHERRY_BIN_DIR");
    cgroups =
        MakeSystemd(*std::move(v2), absl::StrCat(programs == nullptr ? WHERRY_BIN_DIR : programs, "/wherry-shim"));
    static int number = 0;
    const std::string name = absl::StrCat("wherrytest", getpid(), "x", ++number);
    slice = absl::StrCat("/", name, ".slice");
    scope = absl::StrCat(slice, "/wherry-", name, ".scope");
  }
  void TearDown() override {
    if (cgroups == nullptr) return;
    EXPECT_TRUE(cgroups->Kill(scope, 10000).ok());
    absl::Status removed = cgroups->Remove(slice);
    EXPECT_TRUE(removed.ok()) << removed;
  }

  // A process in the scope, as the shim clones it there.
  Child RunHeld(const Resources& resources, const std::function<int()>& body) {
    auto hold = cgroups->CreateLeaf(scope, resources);
    EXPECT_TRUE(hold.ok()) << hold.status();
    return {*cgroups->Members(scope), body};
  }
  std::string File(const std::string& path, const std::string& name) {
    std::ifstream file(absl::StrCat("/sys/fs/cgroup", path, "/", name));
    std::string line;
    std::getline(file, line);
    return line;
  }
  static std::string Systemctl(const std::vector<std::string>& arguments) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(ends[1], 1);
      std::vector<char*> argv{const_cast<char*>("systemctl")};
      for (const std::string& one : arguments) argv.push_back(const_cast<char*>(one.c_str()));
      argv.push_back(nullptr);
      execv("/bin/systemctl", argv.data());
      _exit(127);
    }
    close(ends[1]);
    std::string out;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<size_t>(n));
    close(ends[0]);
    waitpid(pid, nullptr, 0);
    return out;
  }
  std::string Property(const std::string& unit, const std::string& name) {
    return Systemctl({"show", "-P", name, unit});
  }
  static std::string Unit(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  void AwaitUnloaded(const std::string& unit) {
    std::string state;
    for (int i = 0; i < 100 && (state = Property(unit, "LoadState")) != "not-found\n"; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(state, "not-found\n") << unit;
  }

  std::unique_ptr<Cgroups> cgroups;
  std::string slice, scope;
};

Resources Limits() {
  Resources r;
  r.memory_limit = 64 << 20;
  r.cpu_shares = 2048;
  r.cpu_quota = 12500;
  r.cpu_period = 100000;
  r.pids_limit = 100;
  r.cpuset_cpus = "0";
  r.unified = {{"memory.oom.group", "1"}};
  return r;
}

TEST_F(SystemdTest, AContainersScopeIsInItsSliceWithItsLimits) {
  Child child = RunHeld(Limits(), Sleep);
  EXPECT_EQ(*cgroups->Processes(scope), std::vector<int>{child.pid()}) << "the first process has gone";
  EXPECT_EQ(Property(Unit(scope), "ActiveState"), "active\n");
  EXPECT_EQ(Property(Unit(scope), "Slice"), Unit(slice) + "\n");
  EXPECT_EQ(Property(Unit(scope), "ControlGroup"), scope + "\n");
  EXPECT_EQ(Property(Unit(scope), "Delegate"), "yes\n");
  EXPECT_EQ(File(scope, "memory.max"), absl::StrCat(64 << 20));
  EXPECT_EQ(File(scope, "cpu.max"), "12500 100000");
  EXPECT_EQ(File(scope, "pids.max"), "100");
  EXPECT_EQ(File(scope, "cpuset.cpus"), "0");
  EXPECT_EQ(File(scope, "memory.oom.group"), "1");
}

TEST_F(SystemdTest, LimitsAndDeviceRulesOutliveADaemonReload) {
  Child child = RunHeld(Limits(), Sleep);
  ASSERT_TRUE(cgroups->AllowDevices(scope, {{'c', 1, 3, "rw"}}).ok());
  Resources more;
  more.memory_limit = 80 << 20;
  absl::Status applied = cgroups->Apply(scope, more);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(File(scope, "memory.oom.group"), "1");
  Systemctl({"daemon-reload"});
  // Makes systemd write what it thinks of the unit.
  Resources weight;
  weight.cpu_shares = 512;
  applied = cgroups->Apply(scope, weight);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Property(Unit(scope), "MemoryMax"), absl::StrCat(80 << 20, "\n"));
  EXPECT_EQ(File(scope, "memory.max"), absl::StrCat(80 << 20));
  EXPECT_EQ(File(scope, "pids.max"), "100");
  EXPECT_EQ(File(scope, "cpuset.cpus"), "0");
  EXPECT_THAT(File(scope, "cpu.max"), testing::AnyOf("12500 100000", "13000 100000"));
  Child prober(*cgroups->Members(scope),
               [] { return access("/dev/null", R_OK) + (open("/dev/zero", 0) >= 0 ? 2 : 0); });
  EXPECT_EQ(WEXITSTATUS(prober.Wait()), 0);
}

TEST_F(SystemdTest, AnEndedContainerLeavesNoUnitAndNoCgroup) {
  Child child = RunHeld({}, Sleep);
  EXPECT_TRUE(cgroups->Kill(scope, 10000).ok());
  EXPECT_TRUE(cgroups->Remove(scope).ok());
  EXPECT_FALSE(std::filesystem::exists("/sys/fs/cgroup" + scope));
  AwaitUnloaded(Unit(scope));
}

TEST_F(SystemdTest, ASliceOfOurOwnIsMadeLimitedAndRemoved) {
  ASSERT_TRUE(cgroups->Create(slice).ok());
  Resources r;
  r.memory_limit = 128 << 20;
  absl::Status applied = cgroups->Apply(slice, r);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(File(slice, "memory.max"), absl::StrCat(128 << 20));
  EXPECT_EQ(Property(Unit(slice), "MemoryMax"), absl::StrCat(128 << 20, "\n"));
  EXPECT_TRUE(cgroups->Remove(slice).ok());
  EXPECT_FALSE(std::filesystem::exists("/sys/fs/cgroup" + slice));
  // Any slice's name can be loaded at any time.
  EXPECT_EQ(Property(Unit(slice), "ActiveState"), "inactive\n");
}

TEST_F(SystemdTest, ARefusedLimitChangesNothing) {
  Child child = RunHeld(Limits(), Sleep);
  Resources bad;
  bad.memory_limit = 70 << 20;
  bad.cpuset_cpus = "0-1000";
  EXPECT_TRUE(absl::IsInvalidArgument(cgroups->Apply(scope, bad)));
  EXPECT_EQ(File(scope, "memory.max"), absl::StrCat(64 << 20));
  EXPECT_EQ(Property(Unit(scope), "MemoryMax"), absl::StrCat(64 << 20, "\n"));
}

TEST_F(SystemdTest, MemoryOverTheLimitIsKilledAndCounted) {
  auto hold = cgroups->CreateLeaf(scope, Limits());
  ASSERT_TRUE(hold.ok()) << hold.status();
  Child greedy(*cgroups->Members(scope), [] {
    std::vector<char> memory(256 << 20, 1);
    return memory[memory.size() / 2] == 1 ? 0 : 1;
  });
  const int status = greedy.Wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

}  // namespace
}  // namespace wherry::cgroup
