#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "test/integration/backend/node.h"
#include "test/sanitize/sanitized.h"

namespace wherry::streaming {
namespace {

constexpr Streams kAll{true, true, true, false};
constexpr Streams kTerminal{true, true, false, true};

class StreamAttachTest : public BackendTest {
 protected:
  std::string RunWith(const std::string& script, bool in, bool once, bool tty) {
    return Run(RunPod("p", true), "c", script, [&](::runtime::v1::ContainerConfig& config) {
      config.set_stdin(in);
      config.set_stdin_once(once);
      config.set_tty(tty);
    });
  }
};

// kubectl run -i
TEST_F(StreamAttachTest, StdinOnceFromTheFirstByteToTheExitCode) {
  const std::string container = RunWith("cat; echo oh >&2; exit 5", true, true, false);
  auto client = Attach(container, kAll);
  ASSERT_NE(client, nullptr);
  Write(client->in.get(), "text");
  client->in.reset();
  AwaitEnd(*client);
  EXPECT_EQ(ReadAll(client->out.get()), "text");
  EXPECT_EQ(ReadAll(client->err.get()), "oh\n");
  EXPECT_EQ(client->ExitCode().value_or(-1), 5);
}

// kubectl run -i -t
TEST_F(StreamAttachTest, ATerminal) {
  const std::string container = RunWith("read x; stty size; echo $x; exit 6", true, true, true);
  auto client = Attach(container, kTerminal);
  ASSERT_NE(client, nullptr);
  EXPECT_TRUE(client->Resize(91, 17).ok());
  Write(client->in.get(), "word\n");
  const std::string out = ReadAll(client->out.get());
  EXPECT_NE(out.find("17 91\r\nword\r\n"), std::string::npos) << out;
  AwaitEnd(*client);
  EXPECT_EQ(client->ExitCode().value_or(-1), 6);
}

TEST_F(StreamAttachTest, TheContainerDecidesAboutTheTerminal) {
  const std::string container = RunWith("read x; echo got $x", true, false, true);
  auto client = Attach(container, kAll);
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(ReadAll(client->err.get()), "");
  Write(client->in.get(), "it\n");
  EXPECT_NE(ReadAll(client->out.get()).find("got it\r\n"), std::string::npos);
}

TEST_F(StreamAttachTest, WithoutStdinAskedForThereIsNone) {
  for (const bool tty : {false, true}) {
    const std::string container = Run(RunPod(tty ? "t" : "p", true), "c", "sleep 100000",
                                      [&](::runtime::v1::ContainerConfig& config) { config.set_tty(tty); });
    auto client = Attach(container, tty ? kTerminal : kAll);
    ASSERT_NE(client, nullptr);
    EXPECT_FALSE(client->in.valid());
    EXPECT_EQ(client->Resize(80, 24).ok(), tty);
  }
}

TEST_F(StreamAttachTest, AClientThatGoesLeavesTheContainer) {
  const std::string container = RunWith("while read x; do echo $x; done", true, false, false);
  for (const std::string word : {"one", "two"}) {
    auto client = Attach(container, kAll);
    ASSERT_NE(client, nullptr);
    Write(client->in.get(), word + "\n");
    EXPECT_EQ(ReadUntil(client->out.get(), "\n"), word + "\n");
    EXPECT_FALSE(client->ExitCode().ok());
  }
}

TEST_F(StreamAttachTest, RefusesWithTheRightCode) {
  EXPECT_TRUE(absl::IsNotFound(backend_->Attach("nobody", kAll).status()));
  const std::string container = RunWith("sleep 100000", false, false, false);
  ASSERT_TRUE(containers_->Stop(container, absl::ZeroDuration()).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(backend_->Attach(container, kAll).status()));
}

TEST_F(StreamAttachTest, TheShimsDeathEndsItWithoutACode) {
  const std::string container = RunWith("sleep 100000", false, false, false);
  auto client = Attach(container, kAll);
  ASSERT_NE(client, nullptr);
  auto pod = store_->FindPod((*store_->FindContainer(container))->pod_id());
  ASSERT_TRUE(pod.ok());
  ASSERT_EQ(::kill((*pod)->shim_pid(), SIGKILL), 0);
  AwaitEnd(*client);
  EXPECT_TRUE(absl::IsUnavailable(client->ExitCode().status()));
}

TEST_F(StreamAttachTest, TenThousandClientsLeaveNothing) {
  const std::string container = RunWith("exec cat", true, false, false);
  const auto fds = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
  const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  const auto kib = [] {
    std::ifstream file("/proc/self/smaps_rollup");
    std::stringstream text;
    text << file.rdbuf();
    return std::stol(text.str().substr(text.str().find("Private_Dirty:") + 14));
  };
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      auto client = Attach(container, kAll);
      ASSERT_NE(client, nullptr);
      if (i % 10 != 0) continue;
      Write(client->in.get(), "x\n");
      ASSERT_EQ(ReadUntil(client->out.get(), "\n"), "x\n");
    }
  };
  rounds(1000);
  const auto fds_before = fds(), threads_before = threads();
  const long before = kib();
  rounds(9000);
  EXPECT_EQ(fds(), fds_before);
  EXPECT_EQ(threads(), threads_before);
  if (!test::kSanitized) {
    EXPECT_LE(kib(), before + 256) << "KiB";
  }
}

}  // namespace
}  // namespace wherry::streaming
