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
  std::thread killer([this] {
    while (absl::IsNotFound(Signal("c", SIGKILL, true, "e"))) ::usleep(1000);
  });
  // Both grandchildren hold the pipe: the output ends only when they are gone.
  auto output = Run("c", "e", {"/bin/sh", "-c", "sleep 1000 & (sleep 1000 &) ; sleep 1000"});
  killer.join();
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->exit.signal(), SIGKILL);
  EXPECT_TRUE(Run("c", "after", {"/bin/true"}).ok());
}

}  // namespace
}  // namespace wherry::shim
