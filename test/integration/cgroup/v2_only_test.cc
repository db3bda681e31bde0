// The v2 code on a v2-only view of this machine: a cgroup2 mount over /sys/fs/cgroup in a mount namespace of this program.
// On a hybrid host there are no controllers in it, but processes, events, kill and device programs are real.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "runtime/sys/file.h"
#include "test/integration/cgroup/support.h"

namespace wherry::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class V2OnlyTest : public CgroupTest {
 protected:
  static void SetUpTestSuite() {
    auto host = OpenCgroupfs();
    if (host.ok() && (*host)->layout() == "v2") return;
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, nullptr), 0);
  }
};

// Opens each device and answers with a bit for each that could be opened.
int Openable(std::initializer_list<std::pair<const char*, int>> devices) {
  int bits = 0, bit = 1;
  for (const auto& [path, flags] : devices) {
    if (::open(path, flags) >= 0) bits |= bit;
    bit <<= 1;
  }
  return bits;
}

TEST_F(V2OnlyTest, IsSeenAsV2) {
  EXPECT_EQ(cgroups->layout(), "v2");
  auto where = cgroups->Members(base);
  EXPECT_THAT(where->v1_dirs, ElementsAre());
  EXPECT_EQ(where->unified_dir, "/sys/fs/cgroup" + base);
  EXPECT_EQ(where->memory_dir, where->unified_dir);
}

TEST_F(V2OnlyTest, IsMadeListedKilledAndRemoved) {
  const std::string path = base + "/a/b";
  ASSERT_TRUE(cgroups->Create(path).ok());
  Child child = Run(path, Sleep);
  EXPECT_THAT(*cgroups->Processes(base), ElementsAre(child.pid()));
  EXPECT_EQ(cgroups->Remove(path).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(cgroups->Kill(base + "/a", 5000).ok());
  EXPECT_EQ(WTERMSIG(child.Wait()), SIGKILL);
  ASSERT_TRUE(cgroups->Remove(base + "/a").ok());
  EXPECT_FALSE(Exists(base + "/a", false));
}

TEST_F(V2OnlyTest, AFrozenCgroupIsKilledToo) {
  ASSERT_TRUE(cgroups->Create(base + "/a").ok());
  Child child = Run(base + "/a", Sleep);
  const int fd = ::open(("/sys/fs/cgroup" + base + "/a/cgroup.freeze").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::write(fd, "1", 1), 1);
  ::close(fd);
  EXPECT_TRUE(cgroups->Kill(base + "/a", 5000).ok());
}

TEST_F(V2OnlyTest, ALimitWithoutItsControllerIsNamed) {
  Resources r;
  r.memory_limit = 100 << 20;
  absl::Status status = cgroups->Apply(base, r);
  if (status.ok()) GTEST_SKIP() << "this host has the memory controller on v2";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("memory_limit 104857600"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("the controller is not available in this cgroup"));
}

TEST_F(V2OnlyTest, AControllerIsEnabledWhenItIsNeeded) {
  const std::string path = base + "/a";
  ASSERT_TRUE(cgroups->Create(path).ok());
  const auto enabled = [&] { return *sys::ReadFileAt(AT_FDCWD, "/sys/fs/cgroup" + base + "/cgroup.subtree_control"); };
  if (enabled().find("memory") == std::string::npos) GTEST_SKIP() << "this host has no controllers on v2";
  EXPECT_THAT(enabled(), testing::Not(HasSubstr("cpuset")));
  Resources r;
  r.cpuset_cpus = "0";
  ASSERT_TRUE(cgroups->Apply(path, r).ok());
  EXPECT_THAT(enabled(), HasSubstr("cpuset"));
  EXPECT_THAT(enabled(), testing::Not(HasSubstr("hugetlb")));
  EXPECT_EQ(*sys::ReadFileAt(AT_FDCWD, "/sys/fs/cgroup" + path + "/cpuset.cpus"), "0\n");
}

TEST_F(V2OnlyTest, WithoutARuleEveryDeviceIsDenied) {
  ASSERT_TRUE(cgroups->AllowDevices(base, {}).ok());
  Child child = Run(base, [] { return Openable({{"/dev/null", O_RDWR}, {"/dev/zero", O_RDONLY}}); });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0);
}

TEST_F(V2OnlyTest, OnlyListedDevicesCanBeOpened) {
  absl::Status status = cgroups->AllowDevices(base, {{'c', 1, 3, "rwm"}, {'c', 1, 9, "r"}, {'b', 1, 5, "rwm"}});
  ASSERT_TRUE(status.ok()) << status;
  Child child = Run(base, [] {
    return Openable(
        {{"/dev/null", O_RDWR}, {"/dev/urandom", O_RDONLY}, {"/dev/urandom", O_WRONLY}, {"/dev/zero", O_RDONLY}});
  });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0b0011);
}

TEST_F(V2OnlyTest, ANumberLeftOutMeansAny) {
  ASSERT_TRUE(cgroups->AllowDevices(base, {{'c', 1, -1, "r"}}).ok());
  Child child = Run(base, [] {
    return Openable({{"/dev/zero", O_RDONLY}, {"/dev/null", O_RDONLY}, {"/dev/null", O_RDWR}, {"/dev/ptmx", O_RDONLY}});
  });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0b0011);
}

TEST_F(V2OnlyTest, ARuleForAllAllowsAllWhateverComesBehindIt) {
  absl::Status status = cgroups->AllowDevices(base, {{'c', 1, 9, "r"}, {'a', -1, -1, "rwm"}, {'c', 1, 3, "rwm"}});
  ASSERT_TRUE(status.ok()) << status;
  Child child = Run(base, [] { return Openable({{"/dev/null", O_RDWR}, {"/dev/zero", O_RDWR}}); });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0b11);
}

TEST_F(V2OnlyTest, ANewListReplacesTheOldOne) {
  ASSERT_TRUE(cgroups->AllowDevices(base, {{'c', 1, 3, "rwm"}}).ok());
  ASSERT_TRUE(cgroups->AllowDevices(base, {{'c', 1, 5, "rwm"}}).ok());
  ASSERT_TRUE(cgroups->AllowDevices(base, {{'c', 1, 5, "rwm"}}).ok());
  Child child = Run(base, [] { return Openable({{"/dev/null", O_RDWR}, {"/dev/zero", O_RDONLY}}); });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0b10);
}

TEST_F(V2OnlyTest, CpuTimeIsCounted) {
  auto stats = cgroups->Read(base);
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_FALSE(cgroups->Read(base + "/none").ok());
}

}  // namespace
}  // namespace wherry::cgroup
