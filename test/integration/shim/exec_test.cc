#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "test/integration/shim/pod_fixture.h"

namespace wherry::shim {
namespace {

class ExecTest : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    StartPod();
    auto started = Start("c", "exec sleep 100000");
    ASSERT_TRUE(started.ok()) << started.status();
  }
};

TEST_F(ExecTest, GivesOutputAndCode) {
  auto output = Run("c", "e", {"/bin/sh", "-c", "echo hi; echo oh >&2; exit 3"});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->out, "hi\n");
  EXPECT_EQ(output->err, "oh\n");
  EXPECT_EQ(output->exit.code(), 3);
}

TEST_F(ExecTest, MissingCommandIsNotFound) {
  auto output = Run("c", "e", {"/bin/nothing-here"});
  EXPECT_TRUE(absl::IsNotFound(output.status())) << output.status();
  auto again = Run("c", "e", {"/bin/true"});
  EXPECT_TRUE(again.ok()) << again.status();
}

TEST_F(ExecTest, UnknownContainerIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(Run("nobody", "e", {"/bin/true"}).status()));
}

TEST_F(ExecTest, FiftyTimesEightAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string id = std::to_string(t) + "-" + std::to_string(i);
        auto output = Run("c", id, {"/bin/sh", "-c", "echo " + id + "; exit " + std::to_string(i)});
        ASSERT_TRUE(output.ok()) << output.status();
        EXPECT_EQ(output->out, id + "\n");
        EXPECT_EQ(output->exit.code(), i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ExecTest, KillAllTakesDescendantsButNotTheContainer) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  sys::UniqueFd in(ends[0]);
  std::vector<sys::UniqueFd> fds;
  fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  fds.emplace_back(ends[1]);
  fds.emplace_back(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const std::string script = "sleep 1000 & (sleep 1000 &) ; echo up; sleep 1000";
  auto reply = Call(ExecRequest("c", "e", {"/bin/sh", "-c", script}), std::move(fds));
  ASSERT_TRUE(reply.ok()) << reply.status();
  char up[3];
  ASSERT_EQ(::read(in.get(), up, sizeof(up)), 3);
  EXPECT_TRUE(Signal("c", SIGKILL, true, "e").ok());
  // All of them hold the pipe: its end comes only when they are gone.
  EXPECT_EQ(ReadToEnd(in.get()), "");
  EXPECT_TRUE(Run("c", "after", {"/bin/true"}).ok());
}

// As when wherryd is killed: nobody can hear of the exec any more.
TEST_F(ExecTest, TheEndOfTheConnectionEndsItsExecs) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  sys::UniqueFd in(ends[0]);
  {
    auto other = Hub::Create({WHERRY_SHIM_PROGRAM, ""}, {});
    ASSERT_TRUE(other.ok()) << other.status();
    ASSERT_TRUE((*other)->Connect(pod_id_, socket_, shim_).ok());
    std::vector<sys::UniqueFd> fds;
    fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    fds.emplace_back(ends[1]);
    fds.emplace_back(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    auto request = ExecRequest("c", "e", {"/bin/sh", "-c", "sleep 1000 & sleep 1000"});
    ASSERT_TRUE((*other)->Call(pod_id_, request, absl::Seconds(60), std::move(fds)).ok());
  }
  EXPECT_EQ(ReadToEnd(in.get()), "");
  EXPECT_TRUE(Run("c", "after", {"/bin/true"}).ok());
}

}  // namespace
}  // namespace wherry::shim
