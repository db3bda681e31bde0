// Kill ends everything, also what forks against it or is frozen, and says what it could not end.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "gmock/gmock.h"
#include "test/integration/cgroup/support.h"

namespace wherry::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Forks for ever, at most 30 levels deep at a time, each process living shortly.
int ForkForEver() {
  while (true) {
    pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    if (pid > 0) ::waitpid(pid, nullptr, 0);
  }
}

std::string FreezerFile(const std::string& path) { return "/sys/fs/cgroup/freezer" + path + "/freezer.state"; }
bool HasFreezer() { return ::access("/sys/fs/cgroup/freezer/cgroup.procs", F_OK) == 0; }

TEST_F(CgroupTest, KillEndsTheWholeSubtree) {
  // Not in /a itself: on v2 a cgroup that passes controllers down has no processes of its own.
  ASSERT_TRUE(cgroups->Create(base + "/a/b").ok());
  ASSERT_TRUE(cgroups->Create(base + "/a/c/d").ok());
  Child outer = Run(base + "/a/b", Sleep), inner = Run(base + "/a/c/d", Sleep);
  ASSERT_TRUE(cgroups->Kill(base + "/a", 5000).ok());
  EXPECT_THAT(*cgroups->Processes(base), ElementsAre());
  EXPECT_EQ(WTERMSIG(outer.Wait()), SIGKILL);
  EXPECT_EQ(WTERMSIG(inner.Wait()), SIGKILL);
  EXPECT_TRUE(cgroups->Remove(base + "/a").ok());
}

TEST_F(CgroupTest, KillOfNothingIsOK) {
  EXPECT_TRUE(cgroups->Kill(base, 1000).ok());
  EXPECT_TRUE(cgroups->Kill(base + "/none", 1000).ok());
}

TEST_F(CgroupTest, KillEndsAForkBomb) {
  ASSERT_TRUE(cgroups->Create(base + "/a").ok());
  Resources r;
  r.pids_limit = 200;
  ASSERT_TRUE(cgroups->Apply(base + "/a", r).ok());
  Child first = Run(base + "/a", ForkForEver), second = Run(base + "/a", ForkForEver);
  absl::Status status = cgroups->Kill(base + "/a", 20000);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(cgroups->Remove(base + "/a").ok());
}

TEST_F(CgroupTest, KillEndsWhatTheV1FreezerHolds) {
  if (!HasFreezer()) GTEST_SKIP() << "this host has no v1 freezer";
  ASSERT_TRUE(cgroups->Create(base + "/a").ok());
  Child child = Run(base + "/a", Sleep);
  std::ofstream(FreezerFile(base + "/a")) << "FROZEN";
  absl::Status status = cgroups->Kill(base + "/a", 5000);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(CgroupTest, WhatCannotBeKilledIsNamedWithWhatItWaitsFor) {
  if (!HasFreezer()) GTEST_SKIP() << "this host has no v1 freezer, which is how the test makes a process unkillable";
  ASSERT_TRUE(cgroups->Create(base + "/a/b").ok());
  Child child = Run(base + "/a/b", Sleep);
  // Frozen from above: not Kill's to thaw.
  std::ofstream(FreezerFile(base + "/a")) << "FROZEN";
  absl::Status status = cgroups->Kill(base + "/a/b", 300);
  std::ofstream(FreezerFile(base + "/a")) << "THAWED";
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("process " + std::to_string(child.pid()) + " ("));
  EXPECT_THAT(std::string(status.message()), HasSubstr("state D, waiting in "));
}

}  // namespace
}  // namespace wherry::cgroup
