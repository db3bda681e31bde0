// Pure v1, forced: the same host without its v2 tree, so that the freezer and pidfds do what cgroup.kill does elsewhere.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "runtime/cgroup/layout.h"
#include "runtime/cgroup/v1.h"
#include "test/integration/cgroup/support.h"

namespace wherry::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class V1OnlyTest : public CgroupTest {
 protected:
  void SetUp() override {
    if (::access("/sys/fs/cgroup/freezer/cgroup.procs", F_OK) != 0) GTEST_SKIP() << "this host has no v1 hierarchies";
    CgroupTest::SetUp();
  }
  std::unique_ptr<Cgroups> Open() override {
    auto layout = DetectLayout("/sys/fs/cgroup");
    EXPECT_TRUE(layout.ok()) << layout.status();
    layout->unified.clear();
    return MakeV1(*layout);
  }
};

int ForkForEver() {
  while (true) {
    pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    if (pid > 0) ::waitpid(pid, nullptr, 0);
  }
}

TEST_F(V1OnlyTest, KillEndsTheWholeSubtree) {
  EXPECT_EQ(cgroups->layout(), "v1");
  // Not in /a itself: on v2 a cgroup that passes controllers down has no processes of its own.
  ASSERT_TRUE(cgroups->Create(base + "/a/b").ok());
  ASSERT_TRUE(cgroups->Create(base + "/a/c/d").ok());
  Child outer = Run(base + "/a/b", Sleep), inner = Run(base + "/a/c/d", Sleep);
  ASSERT_TRUE(cgroups->Kill(base + "/a", 5000).ok());
  EXPECT_EQ(WTERMSIG(outer.Wait()), SIGKILL);
  EXPECT_EQ(WTERMSIG(inner.Wait()), SIGKILL);
  absl::Status removed = cgroups->Remove(base + "/a");
  EXPECT_TRUE(removed.ok()) << removed;
}

TEST_F(V1OnlyTest, KillEndsAForkBomb) {
  Resources r;
  r.pids_limit = 200;
  ASSERT_TRUE(cgroups->Apply(base, r).ok());
  Child first = Run(base, ForkForEver), second = Run(base, ForkForEver);
  absl::Status status = cgroups->Kill(base, 20000);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(*cgroups->Processes(base), ElementsAre());
}

TEST_F(V1OnlyTest, ASettingOfV2IsRefusedUnlessItChangesNothing) {
  Resources r;
  r.unified = {{"memory.oom.group", "0"}};
  EXPECT_TRUE(cgroups->Apply(base, r).ok());
  r.unified = {{"memory.oom.group", "1"}};
  absl::Status status = cgroups->Apply(base, r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("unified[\"memory.oom.group\"] 1"));
}

TEST_F(V1OnlyTest, PidsMaxIsTheSameOnBoth) {
  Resources r;
  r.unified = {{"pids.max", "3"}};
  ASSERT_TRUE(cgroups->Apply(base, r).ok());
  Child child = Run(base, [] {
    int made = 0;
    while (made < 10) {
      const pid_t pid = ::_Fork();  // as in support.cc
      if (pid == 0) return Sleep();
      if (pid < 0) break;
      ++made;
    }
    return made;
  });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 2);
}

}  // namespace
}  // namespace wherry::cgroup
