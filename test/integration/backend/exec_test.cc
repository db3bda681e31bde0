#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "test/integration/backend/node.h"

namespace wherry::streaming {
namespace {

constexpr Streams kAll{true, true, true, false};
constexpr Streams kTerminal{true, true, false, true};

class StreamExecTest : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (!HasFatalFailure()) container_ = RunIdle();
  }
  std::string container_;
};

TEST_F(StreamExecTest, StreamsAndCode) {
  auto process = Exec(container_, "cat; echo oh >&2; exit 7", kAll);
  ASSERT_NE(process, nullptr);
  Write(process->in.get(), "text");
  process->in.reset();
  AwaitEnd(*process);
  EXPECT_EQ(ReadAll(process->out.get()), "text");
  EXPECT_EQ(ReadAll(process->err.get()), "oh\n");
  EXPECT_EQ(process->ExitCode().value_or(-1), 7);
  EXPECT_TRUE(absl::IsFailedPrecondition(process->Resize(80, 24)));
}

TEST_F(StreamExecTest, StreamsThatNobodyAskedForAreNotThere) {
  auto process = Exec(container_, "cat; echo lost; echo oh >&2", {false, false, true, false});
  ASSERT_NE(process, nullptr);
  EXPECT_FALSE(process->in.valid());
  EXPECT_FALSE(process->out.valid());
  EXPECT_EQ(ReadAll(process->err.get()), "oh\n");
}

TEST_F(StreamExecTest, ASignalIs128More) {
  auto process = Exec(container_, "read x; kill -9 $$", kAll);
  ASSERT_NE(process, nullptr);
  EXPECT_FALSE(process->ExitCode().ok());
  Write(process->in.get(), "\n");
  AwaitEnd(*process);
  EXPECT_EQ(process->ExitCode().value_or(-1), 128 + SIGKILL);
}

TEST_F(StreamExecTest, ATerminalHasASizeAndOneOutput) {
  auto process = Exec(container_, "tty; echo $TERM; read x; stty size; echo oh >&2; exit 3", kTerminal);
  ASSERT_NE(process, nullptr);
  EXPECT_TRUE(process->Resize(91, 17).ok());
  Write(process->in.get(), "\n");
  process->in.reset();  // closes no terminal
  const std::string out = ReadAll(process->out.get());
  EXPECT_NE(out.find("/dev/pts/"), std::string::npos) << out;
  EXPECT_NE(out.find("xterm\r\n"), std::string::npos) << out;
  EXPECT_NE(out.find("17 91\r\noh\r\n"), std::string::npos) << out;
  AwaitEnd(*process);
  EXPECT_EQ(process->ExitCode().value_or(-1), 3);
}

TEST_F(StreamExecTest, AllOfATerminalsOutputIsThereAtTheEnd) {
  auto process = Exec(container_, "head -c 3000 /dev/zero | tr '\\0' x; echo end", kTerminal);
  ASSERT_NE(process, nullptr);
  AwaitEnd(*process);
  EXPECT_EQ(ReadAll(process->out.get()), std::string(3000, 'x') + "end\r\n");
}

TEST_F(StreamExecTest, RefusesWithTheRightCode) {
  const auto code = [&](const std::string& id, const std::vector<std::string>& command, Streams streams) {
    return backend_->Exec(id, command, streams).status().code();
  };
  EXPECT_EQ(code("nobody", {"true"}, kAll), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(container_, {"no-such-program"}, kAll), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(container_, {"/etc"}, kTerminal), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(container_, {}, kAll), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(container_, {"true"}, {true, true, true, true}), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(containers_->Stop(container_, absl::ZeroDuration()).ok());
  EXPECT_EQ(code(container_, {"true"}, kAll), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StreamExecTest, WhoGoesTakesTheProcessAndItsDescendantsAlong) {
  for (const Streams streams : {kAll, kTerminal}) {
    auto process = Exec(container_, "sleep 4444 & setsid sleep 4444 & trap '' HUP PIPE; echo up; sleep 4444", streams);
    ASSERT_NE(process, nullptr);
    EXPECT_NE(ReadUntil(process->out.get(), "up").find("up"), std::string::npos);
    WaitForProcess(container_, "sleep 4444", true);
    process.reset();
    WaitForProcess(container_, "sleep 4444", false);
  }
}

TEST_F(StreamExecTest, WhatAnEndedCommandLeftBehindGoesOn) {
  auto process = Exec(container_, "sleep 5555 & echo up", kAll);
  ASSERT_NE(process, nullptr);
  AwaitEnd(*process);
  process.reset();
  WaitForProcess(container_, "sleep 5555", true);
}

TEST_F(StreamExecTest, AContainersEndIsItsExecsEnd) {
  auto process = Exec(container_, "exec sleep 100000", kAll);
  ASSERT_NE(process, nullptr);
  ASSERT_TRUE(containers_->Stop(container_, absl::ZeroDuration()).ok());
  AwaitEnd(*process);
  EXPECT_EQ(process->ExitCode().value_or(-1), 128 + SIGKILL);
}

TEST_F(StreamExecTest, RunsAsTheContainerDoes) {
  auto container = Run(RunPod("q", true), "u", "exec sleep 100000", [](::runtime::v1::ContainerConfig& config) {
    auto& security = *config.mutable_linux()->mutable_security_context();
    security.mutable_run_as_user()->set_value(1234);
    security.set_no_new_privs(true);
    auto& env = *config.add_envs();
    env.set_key("WHO");
    env.set_value("gull");
  });
  const std::string script = "id -u; echo $WHO; grep -E '^(NoNewPrivs|Seccomp|CapEff|CapBnd):' /proc/self/status";
  auto process = Exec(container, script, kAll);
  ASSERT_NE(process, nullptr);
  const std::string out = ReadAll(process->out.get());
  EXPECT_EQ(out.find("1234\ngull\n"), 0U) << out;
  EXPECT_EQ(out, Output(container, script));
}

TEST_F(StreamExecTest, AHundredClientsThatVanishAtAnyMomentLeaveNothing) {
  const auto fds = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
  const auto before = fds();
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 25; ++i) {
        auto process = Exec(container_, "sleep 6666 & yes", i % 2 == 0 ? kAll : kTerminal);
        ASSERT_NE(process, nullptr);
        for (int reads = (i * 7 + t) % 5; reads > 0; --reads) (void)ReadUntil(process->out.get(), "y");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  WaitForProcess(container_, "sleep 6666", false);
  WaitForProcess(container_, "yes", false);
  for (int i = 0; i < 30000 && fds() != before; ++i) ::usleep(1000);
  EXPECT_EQ(fds(), before);
}

}  // namespace
}  // namespace wherry::streaming
