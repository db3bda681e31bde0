#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/integration/shim/pod_fixture.h"

namespace wherry::shim {
namespace {

using ContainerTest = PodTest;

TEST_F(ContainerTest, RunsAndKeepsItsExit) {
  StartPod();
  auto started = Start("a", "echo out; echo err >&2; exit 7");
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_GT(started->pid(), 0);
  EXPECT_GT(started->started_at_ns(), 0);
  const v1::Exit exit = WaitContainer("a");
  EXPECT_EQ(exit.code(), 7);
  EXPECT_EQ(exit.signal(), 0);
  EXPECT_FALSE(exit.oom_killed());
  EXPECT_GE(exit.finished_at_ns(), started->started_at_ns());
  const std::string log = Log("a");
  EXPECT_TRUE(log == "stdout F out\nstderr F err\n" || log == "stderr F err\nstdout F out\n") << log;
  const v1::StateReply state = State();
  ASSERT_EQ(state.containers_size(), 1);
  EXPECT_EQ(state.containers(0).exit().code(), 7);
  EXPECT_TRUE(Forget("a").ok());
  EXPECT_EQ(State().containers_size(), 0);
  EXPECT_TRUE(absl::IsNotFound(Forget("a")));
}

TEST_F(ContainerTest, LogExistsWhenTheStartReturns) {
  StartPod();
  ASSERT_TRUE(Start("a", "exec sleep 1000").ok());
  struct stat st {};
  ASSERT_EQ(::stat(LogPath("a").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640U);
  EXPECT_TRUE(Signal("a", SIGKILL).ok());
  const v1::Exit exit = WaitContainer("a");
  EXPECT_EQ(exit.code(), 137);
  EXPECT_EQ(exit.signal(), 9);
}

TEST_F(ContainerTest, LongAndUnfinishedLinesAreSplit) {
  StartPod();
  ASSERT_TRUE(Start("a",
                    "head -c 16384 /dev/zero | tr '\\0' x; echo; head -c 40000 /dev/zero | tr '\\0' y; echo;"
                    "printf 'tail\\r'")
                  .ok());
  WaitContainer("a");
  EXPECT_EQ(Log("a"), "stdout F " + std::string(16384, 'x') + "\nstdout P " + std::string(16384, 'y') + "\nstdout P " +
                          std::string(16384, 'y') + "\nstdout F " + std::string(40000 - 32768, 'y') +
                          "\nstdout P tail\r\n");
}

TEST_F(ContainerTest, EveryLineOfABurstIsThereWhenTheExitIsTold) {
  StartPod();
  ASSERT_TRUE(Start("a", "seq 1 200000").ok());
  WaitContainer("a");
  std::string expected;
  for (int i = 1; i <= 200000; ++i) expected += "stdout F " + std::to_string(i) + "\n";
  EXPECT_TRUE(Log("a") == expected);
}

TEST_F(ContainerTest, MissingCommandIsNotFoundAndLeavesNothing) {
  StartPod();
  v1::Request request = ContainerRequest("a", "");
  request.mutable_start_container()->mutable_process()->clear_args();
  request.mutable_start_container()->mutable_process()->add_args("/no/such/program");
  auto reply = Call(request);
  EXPECT_TRUE(absl::IsNotFound(reply.status())) << reply.status();
  EXPECT_EQ(State().containers_size(), 0);
  // Nothing of it is left in its cgroups: they can be removed at once.
  for (const std::string& dir : request.start_container().cgroup().v1_dirs()) {
    EXPECT_EQ(ReadFile(dir + "/cgroup.procs"), "");
  }
  ASSERT_TRUE(Start("b", "true").ok());
  EXPECT_EQ(WaitContainer("b").code(), 0);
}

TEST_F(ContainerTest, ReopenGoesOnInANewFile) {
  StartPod();
  ASSERT_TRUE(Start("a", "echo one; while [ ! -e /go ]; do sleep 0.01; done; echo two").ok());
  while (Log("a").empty()) ::usleep(1000);
  ASSERT_EQ(::rename(LogPath("a").c_str(), (LogPath("a") + ".1").c_str()), 0);
  v1::Request request;
  request.mutable_reopen_log()->set_container_id("a");
  ASSERT_TRUE(Call(request).ok());
  EXPECT_EQ(Log("a"), "");
  ASSERT_TRUE(Run("a", "go", {"/bin/touch", "/go"}).ok());
  WaitContainer("a");
  EXPECT_EQ(Log("a"), "stdout F two\n");
  EXPECT_NE(ReadFile(LogPath("a") + ".1").find("stdout F one\n"), std::string::npos);
}

TEST_F(ContainerTest, ReopenThroughASymlinkFailsAndKeepsTheOldLog) {
  StartPod();
  ASSERT_TRUE(Start("a", "while [ ! -e /go ]; do sleep 0.01; done; echo text").ok());
  const std::string old = LogPath("a") + ".1";
  ASSERT_EQ(::rename(LogPath("a").c_str(), old.c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd-of-nobody", LogPath("a").c_str()), 0);
  v1::Request request;
  request.mutable_reopen_log()->set_container_id("a");
  EXPECT_TRUE(absl::IsInvalidArgument(Call(request).status()));
  struct stat st {};
  EXPECT_NE(::stat("/etc/passwd-of-nobody", &st), 0);
  ASSERT_TRUE(Run("a", "go", {"/bin/touch", "/go"}).ok());
  WaitContainer("a");
  EXPECT_NE(ReadFile(old).find("stdout F text\n"), std::string::npos);
}

TEST_F(ContainerTest, KillAllReachesWhatTheInitForked) {
  StartPod();
  ASSERT_TRUE(Start("a", "sleep 1000 & sleep 1000 & wait").ok());
  EXPECT_TRUE(Signal("a", SIGKILL, true).ok());
  EXPECT_EQ(WaitContainer("a").code(), 137);
}

}  // namespace
}  // namespace wherry::shim
