// Attached clients: what they get of a container's streams, and what they cannot do to it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <thread>

#include "runtime/sys/file.h"
#include "test/integration/shim/pod_fixture.h"
#include "test/sanitize/sanitized.h"

namespace wherry::shim {
namespace {

class AttachTest : public PodTest {
 protected:
  struct Client {
    v1::AttachReply told;
    sys::UniqueFd terminal, in, out, err;
  };

  void SetUp() override {
    PodTest::SetUp();
    StartPod();
  }

  void StartWith(const std::string& script, bool in, bool once, bool tty) {
    v1::Request request = ContainerRequest(container_, script);
    request.mutable_start_container()->set_stdin(in);
    request.mutable_start_container()->set_stdin_once(once);
    request.mutable_start_container()->mutable_process()->set_tty(tty);
    auto reply = Call(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
  }

  absl::StatusOr<Client> TryAttach(bool in = true, bool out = true, bool err = true) {
    v1::Request request;
    request.mutable_attach()->set_container_id(container_);
    request.mutable_attach()->set_stdin(in);
    request.mutable_attach()->set_stdout(out);
    request.mutable_attach()->set_stderr(err);
    auto reply = Call(std::move(request));
    if (!reply.ok()) return reply.status();
    Client client;
    client.told = reply->message.attach();
    auto next = reply->fds.begin();
    if (client.told.terminal()) client.terminal = std::move(*next++);
    if (client.told.stdin() && !client.told.terminal()) client.in = std::move(*next++);
    if (client.told.stdout()) client.out = std::move(*next++);
    if (client.told.stderr()) client.err = std::move(*next++);
    EXPECT_EQ(next, reply->fds.end());
    return client;
  }
  Client Attach(bool in = true, bool out = true, bool err = true) {
    auto client = TryAttach(in, out, err);
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? std::move(*client) : Client();
  }

  // Reads until `text` has come, for 30 s at most.
  static std::string ReadUntil(int fd, const std::string& text) {
    std::string got;
    char buffer[65536];
    while (got.find(text) == std::string::npos) {
      pollfd polled{fd, POLLIN, 0};
      if (::poll(&polled, 1, 30000) != 1) break;
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n <= 0) break;
      got.append(buffer, static_cast<size_t>(n));
    }
    return got;
  }
  static void Write(const sys::UniqueFd& fd, const std::string& text) {
    EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string container_ = "c";
  auto ShimFds() const {
    return std::distance(std::filesystem::directory_iterator("/proc/" + std::to_string(shim_.pid) + "/fd"), {});
  }
  long ShimKib() const {
    const std::string text = ReadFile("/proc/" + std::to_string(shim_.pid) + "/smaps_rollup");
    return std::stol(text.substr(text.find("Private_Dirty:") + 14));
  }
};

constexpr char kEcho[] = "while read line; do echo out $line; echo err $line >&2; done; echo end";

TEST_F(AttachTest, EachClientGetsBothStreamsAndTheLogToo) {
  StartWith(kEcho, true, false, false);
  Client a = Attach(), b = Attach(false);
  EXPECT_FALSE(b.told.stdin());
  Write(a.in, "one\n");
  for (const Client* client : {&a, &b}) {
    EXPECT_EQ(ReadUntil(client->out.get(), "\n"), "out one\n");
    EXPECT_EQ(ReadUntil(client->err.get(), "\n"), "err one\n");
  }
  EXPECT_NE(Log("c").find("stdout F out one\n"), std::string::npos);
}

TEST_F(AttachTest, ALateClientGetsWhatComesFromThenOn) {
  StartWith(kEcho, true, false, false);
  Client early = Attach();
  Write(early.in, "one\n");
  EXPECT_EQ(ReadUntil(early.out.get(), "one\n"), "out one\n");
  EXPECT_EQ(ReadUntil(early.err.get(), "one\n"), "err one\n");
  Client late = Attach();
  Write(late.in, "two\n");
  EXPECT_EQ(ReadUntil(late.out.get(), "two\n"), "out two\n");
  EXPECT_EQ(ReadUntil(early.out.get(), "two\n"), "out two\n");
}

TEST_F(AttachTest, StdinStaysOpenAcrossClients) {
  StartWith(kEcho, true, false, false);
  for (const std::string word : {"one", "two", "three"}) {
    Client client = Attach();
    ASSERT_TRUE(client.told.stdin());
    Write(client.in, word + "\n");
    EXPECT_EQ(ReadUntil(client.out.get(), "\n"), "out " + word + "\n");
  }
}

TEST_F(AttachTest, StdinOnceEndsWithItsOnlyClient) {
  StartWith("cat; echo end", true, true, false);
  Client first = Attach(), second = Attach();
  EXPECT_TRUE(first.told.stdin());
  EXPECT_FALSE(second.told.stdin());
  Write(first.in, "text\n");
  EXPECT_EQ(ReadUntil(second.out.get(), "text\n"), "text\n");
  first.in.reset();
  EXPECT_EQ(ReadToEnd(second.out.get()), "end\n");
  EXPECT_EQ(ReadToEnd(first.out.get()), "text\nend\n");
  EXPECT_EQ(WaitContainer("c").code(), 0);
}

TEST_F(AttachTest, WithoutStdinAskedForThereIsNone) {
  StartWith("cat; sleep 100000", false, false, false);
  Client client = Attach();
  EXPECT_FALSE(client.told.stdin());
  EXPECT_TRUE(client.told.stdout());
}

TEST_F(AttachTest, ATerminalTakesInputAndItsSize) {
  StartWith("read line; echo got $line; stty size; read line; echo bye", true, true, true);
  Client client = Attach();
  ASSERT_TRUE(client.told.terminal());
  ASSERT_TRUE(client.told.stdin());
  EXPECT_FALSE(client.told.stderr());
  winsize size{};
  size.ws_col = 91;
  size.ws_row = 17;
  ASSERT_EQ(::ioctl(client.terminal.get(), TIOCSWINSZ, &size), 0);
  Write(client.terminal, "hello\n");
  EXPECT_NE(ReadUntil(client.out.get(), "17 91\r\n").find("got hello\r\n17 91\r\n"), std::string::npos);
  client = Client();
  Client again = Attach();  // a terminal outlives its clients
  Write(again.terminal, "x\n");
  EXPECT_NE(ReadToEnd(again.out.get()).find("bye\r\n"), std::string::npos);
  EXPECT_EQ(WaitContainer("c").code(), 0);
  EXPECT_NE(Log("c").find("got hello\r"), std::string::npos);
}

TEST_F(AttachTest, AllOutputComesBeforeTheEnd) {
  for (int round = 0; round < 20; ++round) {
    container_ = "c" + std::to_string(round);
    StartWith("read go; seq 1 20000", true, false, false);
    Client client = Attach();
    Write(client.in, "\n");
    std::string expected;
    for (int i = 1; i <= 20000; ++i) expected += std::to_string(i) + "\n";
    EXPECT_TRUE(ReadToEnd(client.out.get()) == expected) << round;
    EXPECT_EQ(ReadToEnd(client.err.get()), "");
    (void)WaitContainer(container_);
  }
}

// 64 MiB against a pipe of 1 MiB that nobody reads: the container ends, the log is whole, the others have it all, and the
// slow one learns what it missed.
TEST_F(AttachTest, AClientThatDoesNotReadHoldsNobodyUp) {
  StartWith("read go; head -c 67108864 /dev/zero | tr '\\0' x", true, false, false);
  Client slow = Attach(), fast = Attach();
  Write(fast.in, "\n");
  std::thread reader([&] { EXPECT_GE(ReadToEnd(fast.out.get()).size(), size_t{1} << 20); });
  EXPECT_EQ(WaitContainer("c").code(), 0);
  ASSERT_TRUE(Forget("c").ok());
  reader.join();
  const auto log = std::filesystem::file_size(LogPath("c"));
  EXPECT_GT(log, 67108864U);
  const std::string got = ReadToEnd(slow.out.get());
  const size_t told = got.find("\r\nwherry: ");
  ASSERT_NE(told, std::string::npos);
  EXPECT_EQ(told + std::stoull(got.substr(told + 10)), 67108864U);
  EXPECT_NE(got.find(" bytes of output lost here: the client reads too slowly\r\n"), std::string::npos);
}

TEST_F(AttachTest, AClientThatLostOutputGetsOnWithTheRest) {
  StartWith("read go; head -c 4194304 /dev/zero | tr '\\0' x; echo; read go; echo after", true, false, false);
  Client slow = Attach(), other = Attach();
  Write(slow.in, "\n");
  // The other reads all of it, so the slow one's pipe has been full.
  const std::string all = ReadUntil(other.out.get(), "\n");
  const std::string got = ReadUntil(slow.out.get(), "too slowly\r\n");
  EXPECT_NE(got.find("\r\nwherry: "), std::string::npos);
  Write(slow.in, "\n");
  EXPECT_NE(ReadToEnd(slow.out.get()).find("after\n"), std::string::npos);
}

TEST_F(AttachTest, OnlyARunningContainerCanBeAttachedTo) {
  EXPECT_TRUE(absl::IsNotFound(TryAttach().status()));
  StartWith("true", true, false, false);
  (void)WaitContainer("c");
  EXPECT_TRUE(absl::IsFailedPrecondition(TryAttach().status()));
}

TEST_F(AttachTest, TooManyClientsAreRefusedUntilOthersGo) {
  StartWith("exec sleep 100000", false, false, false);
  std::vector<Client> clients;
  absl::Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) {
    auto client = TryAttach();
    if (client.ok()) clients.push_back(std::move(*client));
    refused = client.status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(clients.size(), 64U);
  clients.clear();
  EXPECT_TRUE(TryAttach().ok());
}

TEST_F(AttachTest, TenThousandClientsLeaveNothingInTheShim) {
  StartWith("exec cat", true, false, false);
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      Client client = Attach();
      if (i % 2 == 0) continue;
      Write(client.in, "x\n");
      ASSERT_EQ(ReadUntil(client.out.get(), "\n"), "x\n");
    }
  };
  // The last to go may not have been noticed yet.
  const auto settled = [&](long expected) {
    for (int i = 0; i < 30000 && ShimFds() != expected; ++i) ::usleep(1000);
    return ShimFds();
  };
  const long idle = ShimFds();
  rounds(500);
  EXPECT_EQ(settled(idle), idle);
  const long before = ShimKib();
  rounds(9500);
  EXPECT_EQ(settled(idle), idle);
  if (!test::kSanitized) {
    EXPECT_LE(ShimKib(), before + 16) << "KiB";
  }
}

// Eight at once come and go while the container writes; its log stays whole.
TEST_F(AttachTest, ClientsThatComeAndGoDoNotDisturbTheLog) {
  StartWith("read go; seq 1 300000", true, false, false);
  Client starter = Attach(true, false, false);
  Write(starter.in, "\n");
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        auto client = TryAttach();
        if (!client.ok()) return;  // it has ended
        char buffer[1000];
        (void)!::read(client->out.get(), buffer, sizeof buffer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(WaitContainer("c").code(), 0);
  std::string expected;
  for (int i = 1; i <= 300000; ++i) expected += "stdout F " + std::to_string(i) + "\n";
  EXPECT_TRUE(Log("c") == expected);
}

}  // namespace
}  // namespace wherry::shim
