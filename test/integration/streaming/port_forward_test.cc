// Port-forward over SPDY, over SPDY in a WebSocket, and over WebSocket channels.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "test/integration/streaming/support.h"

namespace wherry::streaming::test {
namespace {

using testing::HasSubstr;

constexpr char kForward[] =
    "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n";

// Listens on a port of loopback; each connection is served by a function on a thread of its own.
class Listener {
 public:
  explicit Listener(std::function<void(int)> serve) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_.get(), 512), 0);
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, serve = std::move(serve)] {
      while (true) {
        sys::UniqueFd one(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!one.valid()) return;
        threads_.emplace_back([serve, one = std::move(one)] { serve(one.get()); });
      }
    });
  }
  ~Listener() {
    ::shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
    for (auto& thread : threads_) thread.join();
  }
  uint16_t port = 0;

 private:
  sys::UniqueFd fd_;
  std::thread thread_;
  std::vector<std::thread> threads_;
};

void Echo(int fd) {
  char buffer[65536];
  for (ssize_t n = ::read(fd, buffer, sizeof(buffer)); n > 0; n = ::read(fd, buffer, sizeof(buffer)))
    if (::write(fd, buffer, static_cast<size_t>(n)) != n) return;
}

class PortForwardTest : public ServerTest {
 protected:
  std::string Forward(const std::string& pod = "p", std::vector<uint16_t> ports = {}) {
    return Url({Kind::kPortForward, pod, {}, {}, std::move(ports)});
  }
};

struct Pair {
  uint32_t error, data;
};
Pair Open(SpdyClient& client, uint16_t port, int request) {
  auto headers = [&](const char* type) -> spdy::Headers {
    return {{"streamtype", type}, {"port", absl::StrCat(port)}, {"requestid", absl::StrCat(request)}};
  };
  const uint32_t error = client.Open(headers("error"));
  client.Finish(error);  // as Kubernetes' clients do: nothing is ever sent on it
  return {error, client.Open(headers("data"))};
}

// KUBELET G46: streams with port, requestID and streamType.
TEST_F(PortForwardTest, BytesGoBothWaysAndEachWayEndsOnItsOwn) {
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  const Pair pair = Open(client, echo.port, 0);
  client.Send(pair.data, "ping");
  client.Finish(pair.data);
  ASSERT_TRUE(client.Until([&] { return client.streams[pair.data].ended && client.streams[pair.error].ended; }));
  EXPECT_EQ(client.streams[pair.data].data, "ping");
  EXPECT_EQ(client.streams[pair.error].data, "");
}

// A client waits for the end of the error stream before it tells its own side that the server has hung up.
TEST_F(PortForwardTest, AServerThatHangsUpFirstIsSeen) {
  Listener greeter([](int fd) { EXPECT_EQ(::write(fd, "bye", 3), 3); });
  SpdyClient client(Forward(), kForward);
  const Pair pair = Open(client, greeter.port, 0);
  ASSERT_TRUE(client.Until([&] { return client.streams[pair.data].ended && client.streams[pair.error].ended; }));
  EXPECT_EQ(client.streams[pair.data].data, "bye");
}

// KUBELET G47: an error text resets that pair, the session stays.
TEST_F(PortForwardTest, APortWhereNobodyListensFailsThatPairOnly) {
  uint16_t closed = 0;
  { closed = Listener(Echo).port; }
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  const Pair bad = Open(client, closed, 0), good = Open(client, echo.port, 1);
  ASSERT_TRUE(client.Until([&] { return client.streams[bad.error].ended && client.streams[bad.data].reset; }));
  EXPECT_THAT(client.streams[bad.error].data, HasSubstr(absl::StrCat("error forwarding port ", closed, " to pod p")));
  client.Send(good.data, "still");
  ASSERT_TRUE(client.Until([&] { return client.streams[good.data].data == "still"; }));
}

TEST_F(PortForwardTest, AConnectionThatIsResetFailsThatPairOnly) {
  Listener angry([](int fd) {
    char byte;
    EXPECT_EQ(::read(fd, &byte, 1), 1);
    const linger now{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  });
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  const Pair bad = Open(client, angry.port, 0), good = Open(client, echo.port, 1);
  client.Send(bad.data, "x");
  ASSERT_TRUE(client.Until([&] { return client.streams[bad.data].reset; }));
  EXPECT_THAT(client.streams[bad.error].data, HasSubstr("reset by peer"));
  client.Send(good.data, "still");
  ASSERT_TRUE(client.Until([&] { return client.streams[good.data].data == "still"; }));
}

TEST_F(PortForwardTest, TwoHundredConnectionsAtOnce) {
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  std::vector<Pair> pairs;
  pairs.reserve(200);
  for (int i = 0; i < 200; ++i) pairs.push_back(Open(client, echo.port, i));
  for (const Pair& pair : pairs) client.Send(pair.data, std::string(100000, static_cast<char>('a' + pair.data % 26)));
  ASSERT_TRUE(client.Until([&] {
    return std::all_of(pairs.begin(), pairs.end(),
                       [&](auto& p) { return client.streams[p.data].data.size() == 100000; });
  }));
  for (const Pair& pair : pairs)
    EXPECT_EQ(client.streams[pair.data].data, std::string(100000, static_cast<char>('a' + pair.data % 26)));
  for (const Pair& pair : pairs) client.Finish(pair.data);
  ASSERT_TRUE(client.Until(
      [&] { return std::all_of(pairs.begin(), pairs.end(), [&](auto& p) { return client.streams[p.data].ended; }); }));
}

// The byte at `at` of what a pair carries, which is in no other place the same for long.
char ByteAt(size_t at, uint32_t pair) { return static_cast<char>((at * 2654435761U + pair) >> 11); }

TEST_F(PortForwardTest, MuchGoesBothWaysUnchanged) {
  constexpr size_t kBytes = 16 << 20;
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  std::map<uint32_t, size_t> got;
  size_t wrong = 0;
  client.on_data = [&](uint32_t id, absl::string_view data) {
    for (char byte : data) wrong += byte != ByteAt(got[id]++, id);
  };
  for (int i = 0; i < 2; ++i) {
    const Pair pair = Open(client, echo.port, i);
    std::string all(kBytes, '\0');
    for (size_t at = 0; at < kBytes; ++at) all[at] = ByteAt(at, pair.data);
    client.Send(pair.data, all);
    client.Finish(pair.data);
    got[pair.data] = 0;
  }
  ASSERT_TRUE(client.Until([&] {
    return std::all_of(got.begin(), got.end(), [&](const auto& pair) { return client.streams[pair.first].ended; });
  }));
  for (const auto& [id, bytes] : got) EXPECT_EQ(bytes, kBytes);
  EXPECT_EQ(wrong, 0u);
}

// Without windows only the connection itself holds a sender up, in the midst of whatever it was writing.
TEST_F(PortForwardTest, ASlowClientWithoutWindowsGetsAll) {
  constexpr size_t kBytes = 32 << 20;
  std::string all(kBytes, '\0');
  for (size_t at = 0; at < kBytes; ++at) all[at] = ByteAt(at, 0);
  Listener source(
      [&](int fd) { EXPECT_EQ(::send(fd, all.data(), kBytes, MSG_NOSIGNAL), static_cast<ssize_t>(kBytes)); });
  SpdyClient client(Forward(), kForward);
  client.HaveNoWindows();
  std::string got;
  const Pair pair = Open(client, source.port, 0);
  client.on_data = [&](uint32_t id, absl::string_view data) {
    if (id == pair.data) absl::StrAppend(&got, data);
  };
  ASSERT_TRUE(client.Until([&] { return client.streams[pair.data].ended; }));
  EXPECT_TRUE(got == all) << got.size();  // not EXPECT_EQ, which would print them
}

// splice(2) does not go past urgent data, which is as rare as it is old.
TEST_F(PortForwardTest, UrgentDataEndsNothing) {
  const std::string much(1 << 20, 'x');
  Listener source([&](int fd) {
    for (int i = 0; i < 4; ++i) {
      ::send(fd, much.data(), much.size(), MSG_NOSIGNAL);
      ::send(fd, "!", 1, MSG_NOSIGNAL | MSG_OOB);
    }
    ::send(fd, ".", 1, MSG_NOSIGNAL);
  });
  SpdyClient client(Forward(), kForward);
  const Pair pair = Open(client, source.port, 0);
  ASSERT_TRUE(client.Until([&] { return client.streams[pair.data].ended; }));
  // The urgent byte itself is out of band, and of two the kernel may keep one only.
  std::string got = client.streams[pair.data].data;
  got.erase(std::remove(got.begin(), got.end(), '!'), got.end());
  EXPECT_EQ(got.size(), 4 * much.size() + 1);
  EXPECT_EQ(got.back(), '.');
}

TEST_F(PortForwardTest, ASlowPodGetsAll) {
  constexpr size_t kBytes = 8 << 20;
  Listener sink([](int fd) {
    const int little = 128 << 10;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
    char buffer[5000];
    size_t got = 0, wrong = 0;
    for (ssize_t n = 1; got < kBytes && n > 0; got += static_cast<size_t>(n)) {
      n = ::read(fd, buffer, sizeof(buffer));
      for (ssize_t i = 0; i < n; ++i) wrong += buffer[i] != ByteAt(got + static_cast<size_t>(i), 0);
    }
    const std::string answer = absl::StrCat(got, " bytes, ", wrong, " wrong");
    ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  });
  SpdyClient client(Forward(), kForward);
  const Pair pair = Open(client, sink.port, 0);
  std::string all(kBytes, '\0');
  for (size_t at = 0; at < kBytes; ++at) all[at] = ByteAt(at, 0);
  client.Send(pair.data, all);
  ASSERT_TRUE(client.Until([&] { return client.streams[pair.data].ended; }));
  EXPECT_EQ(client.streams[pair.data].data, absl::StrCat(kBytes, " bytes, 0 wrong"));
}

// Wherever in a frame the server is.
TEST_F(PortForwardTest, AResetAmidMuchDataLeavesTheSessionWhole) {
  Listener endless([](int fd) {
    const std::string much(300'000, 'x');
    while (::send(fd, much.data(), much.size(), MSG_NOSIGNAL) > 0) continue;
  });
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  for (int round = 0; round < 40; round += 2) {
    const Pair cut = Open(client, endless.port, round);
    ASSERT_TRUE(
        client.Until([&] { return client.streams[cut.data].data.size() > static_cast<size_t>(round) * 20'000; }));
    client.session.Reset(cut.data, spdy::Reset::kCancel);
    const Pair good = Open(client, echo.port, round + 1);
    client.Send(good.data, absl::StrCat("still ", round));
    ASSERT_TRUE(client.Until([&] { return client.streams[good.data].data == absl::StrCat("still ", round); }));
  }
}

// One that reads nothing holds up only itself, with a client that keeps to windows.
TEST_F(PortForwardTest, AStuckConnectionHoldsUpNoOther) {
  std::atomic<bool> over{false};
  Listener stuck([&](int) { Eventually("the end of the test", [&] { return over.load(); }); });
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  const Pair slow = Open(client, stuck.port, 0), good = Open(client, echo.port, 1);
  client.Send(slow.data, std::string(16 << 20, 'x'));
  client.Send(good.data, "quick");
  EXPECT_TRUE(client.Until([&] { return client.streams[good.data].data == "quick"; }));
  client.connection.Hangup();
  over = true;
}

TEST_F(PortForwardTest, BadStreamsAreResetAndTheSessionStays) {
  Listener echo(Echo);
  SpdyClient client(Forward(), kForward);
  std::vector<uint32_t> bad = {
      client.Open({{"streamtype", "data"}}), client.Open({{"streamtype", "data"}, {"port", "0"}}),
      client.Open({{"streamtype", "data"}, {"port", "65536"}}), client.Open({{"streamtype", "x"}, {"port", "80"}})};
  ASSERT_TRUE(client.Until(
      [&] { return std::all_of(bad.begin(), bad.end(), [&](uint32_t id) { return client.streams[id].reset; }); }));
  const Pair good = Open(client, echo.port, 1);
  client.Send(good.data, "still");
  ASSERT_TRUE(client.Until([&] { return client.streams[good.data].data == "still"; }));
}

// KUBELET G45: 30 s to open streams.
TEST_F(PortForwardTest, HalfAPairIsNotWaitedForEver) {
  options.creation = std::chrono::milliseconds(50);
  SpdyClient client(Forward(), kForward);
  const uint32_t error = client.Open({{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}});
  ASSERT_TRUE(client.Until([&] { return client.streams[error].ended; }));
  EXPECT_THAT(client.streams[error].data, HasSubstr("timed out"));
}

// KUBELET G46: over a WebSocket, the port first on each channel, little-endian.
TEST_F(PortForwardTest, WebSocketChannelsCarryOneConnectionAPort) {
  Listener one([](int fd) { EXPECT_EQ(::write(fd, "one", 3), 3); });
  uint16_t closed = 0;
  { closed = Listener(Echo).port; }
  WsClient client(Forward("p", {one.port, closed}), "v4.channel.k8s.io");
  auto got = client.ReceiveAll();
  auto number = [](uint16_t port) { return std::string{static_cast<char>(port & 0xff), static_cast<char>(port >> 8)}; };
  EXPECT_EQ(got[0], number(one.port) + "one");
  EXPECT_EQ(got[1], number(one.port));
  EXPECT_EQ(got[2], number(closed));
  EXPECT_THAT(got[3].substr(2), HasSubstr("error forwarding port"));
}

// A WebSocket that carries the SPDY session's bytes in binary messages.
TEST_F(PortForwardTest, SpdyGoesThroughAWebSocket) {
  Listener echo(Echo);
  WsClient socket(Forward(), "SPDY/3.1+portforward.k8s.io");
  spdy::HeaderDeflater deflater;
  auto syn = [&](char id, const char* type) {
    return spdy::ControlFrame(
        spdy::Type::kSynStream, 0,
        std::string("\0\0\0", 3) + id + std::string(6, '\0') +
            deflater.Write({{"streamtype", type}, {"port", absl::StrCat(echo.port)}, {"requestid", "0"}}));
  };
  std::string bytes = syn(1, "error");  // one after the other: they are one zlib stream
  bytes += syn(3, "data") + spdy::DataHeader(3, spdy::kFlagFin, 4) + "ping";
  socket.Send(bytes.substr(0, 11));
  socket.Send(bytes.substr(11));
  std::string got;
  while (got.find(spdy::DataHeader(3, 0, 4) + "ping") == std::string::npos) {
    const std::string more = socket.Receive();
    if (more.empty()) break;
    got += more;
  }
  EXPECT_THAT(got, HasSubstr(spdy::DataHeader(3, 0, 4) + "ping"));
}

}  // namespace
}  // namespace wherry::streaming::test
