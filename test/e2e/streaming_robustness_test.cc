// Many sessions, and clients that die: nothing is left of them, and nothing is lost. The counts are small enough for every run;
// WHERRY_STREAM_ROUNDS multiplies them.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "test/e2e/streaming_node.h"

namespace wherry::e2e {
namespace {

using streaming::Streams;
using streaming::test::kSpdyV4;
using streaming::test::SpdyClient;

constexpr Streams kAll{true, true, true, false}, kInOut{true, true, false, false}, kOut{false, true, false, false};

int Rounds(int for_every_run) {
  const char* factor = std::getenv("WHERRY_STREAM_ROUNDS");
  return for_every_run * std::max(1, factor == nullptr ? 1 : static_cast<int>(std::strtol(factor, nullptr, 10)));
}

std::string Sha256(const std::string& bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &size, EVP_sha256(), nullptr);
  return {reinterpret_cast<char*>(out), size};
}

std::string Noise(size_t size) {
  std::minstd_rand random(7);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

class StreamingRobustnessTest : public StreamingNodeTest {
 protected:
  // A connection to port 8080 of the pod; the data stream.
  static uint32_t OpenPair(SpdyClient& client, int id) {
    const std::string request = absl::StrCat(id);
    client.Open({{"streamtype", "error"}, {"port", "8080"}, {"requestid", request}});
    return client.Open({{"streamtype", "data"}, {"port", "8080"}, {"requestid", request}});
  }
  std::string RunEcho(const std::string& pod) {
    std::string container = node.Run(pod, "echo", {"nc", "-ll", "-p", "8080", "-e", "cat"});
    Eventually("the program to listen", [&] {
      auto client = Forward(pod);
      const uint32_t data = OpenPair(*client, 0);
      client->Send(data, "x");
      client->Until([&] { return client->streams[data].reset || !client->streams[data].data.empty(); });
      return !client->streams[data].reset;
    });
    return container;
  }
  size_t CountOf(const char* folder) const {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(node.pid()) + "/" + folder);
    return static_cast<size_t>(std::distance(begin(all), end(all)));
  }
  size_t ResidentKb() const {
    std::ifstream status("/proc/" + std::to_string(node.pid()) + "/status");
    for (std::string line; std::getline(status, line);)
      if (absl::StartsWith(line, "VmRSS:")) return std::strtoul(line.c_str() + 6, nullptr, 10);
    return 0;
  }
};

// The bytes of a client of `url` that opens its streams and types.
std::string ClientsBytes(const std::string& url) {
  struct Ignore final : streaming::spdy::Session::Events {
    void OnStream(uint32_t, const streaming::spdy::Headers&) override {}
    void OnData(uint32_t, absl::string_view) override {}
    void OnEnd(uint32_t) override {}
    void OnReset(uint32_t) override {}
    void OnSent(uint32_t) override {}
  } ignore;
  streaming::spdy::Session session(streaming::spdy::Session::Role::kClient, ignore);
  std::string out = absl::StrCat("POST ", url.substr(url.find('/', 8)), " HTTP/1.1\r\nHost: x\r\n", kSpdyV4, "\r\n");
  for (const char* type : {"error", "stdin", "stdout", "stderr"}) {
    const uint32_t id = session.Open({{"streamtype", type}});
    if (absl::string_view(type) == "stdin") session.Send(id, streaming::Chunk::Copy(std::string(200, 'x')));
  }
  for (const streaming::Piece& piece : session.Gather()) out.append(piece.data, piece.size);
  return out;
}

// Sends these bytes and dies, without a farewell when `reset`.
void SendAndDie(const std::string& url, absl::string_view bytes, std::chrono::microseconds lives, bool reset) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{AF_INET,
                 htons(static_cast<uint16_t>(std::strtoul(url.c_str() + url.rfind(':') + 1, nullptr, 10))),
                 {htonl(INADDR_LOOPBACK)},
                 {}};
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  EXPECT_GE(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
  ::usleep(static_cast<useconds_t>(lives.count()));  // a random instant of its session
  const linger now{1, 0};
  if (reset) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(fd);
}

TEST_F(StreamingRobustnessTest, ClientsThatDieAtAnyInstantLeaveNoProcess) {
  const std::string container = node.Run(node.RunPod("p"), "c", {"sleep", "5000"});
  SendAndDie(ExecUrl(container, {"true"}, kAll), "", {}, false);
  const size_t fds = CountOf("fd");
  std::minstd_rand random(20261125);
  for (int i = Rounds(100); i > 0; --i) {
    const std::string url = ExecUrl(container, {"sh", "-c", "sleep 4321 & cat; sleep 4321"}, kAll);
    const std::string bytes = ClientsBytes(url);
    // Half of them have said all.
    const size_t length = random() % 2 == 0 ? bytes.size() : random() % bytes.size();
    SendAndDie(url, {bytes.data(), length}, std::chrono::microseconds(random() % 20'000), random() % 2 == 0);
  }
  Eventually("the commands to be gone", [&] {
    return !absl::StrContains(node.Exec(container, {"ps", "-o", "args"}).stdout(), "4321");
  });
  Eventually("their descriptors to be gone", [&] { return CountOf("fd") <= fds; });
}

TEST_F(StreamingRobustnessTest, AttachingAndDetachingLeavesDescriptorsThreadsAndMemoryAsTheyWere) {
  const std::string container = node.Run(node.RunPod("p"), "c", {"sh", "-c", "while read x; do echo got $x; done"},
                                         [](cri::ContainerConfig& config) { config.set_stdin(true); });
  auto attach = [&] {
    SpdyClient client(AttachUrl(container));
    client.OpenRemote(kInOut);
    client.Send(client.names["stdin"], "x\n");
    EXPECT_TRUE(client.Until([&] { return absl::StrContains(client.text("stdout"), "got x\n"); }));
  };
  for (int i = 0; i < 100; ++i) attach();
  size_t fds = 0;
  Eventually("the first to be gone", [&] { return std::exchange(fds, CountOf("fd")) == CountOf("fd"); });
  const size_t threads = CountOf("task"), kb = ResidentKb();
  const int rounds = Rounds(200);
  for (int i = 0; i < rounds; ++i) attach();
  Eventually("descriptors to be as before", [&] { return CountOf("fd") <= fds; });
  Eventually("threads to be as before", [&] { return CountOf("task") <= threads; });
  EXPECT_LT(ResidentKb(), kb + 4096) << "before: " << kb << " KiB";
  RecordProperty("rounds", rounds);
  RecordProperty("kb_before", static_cast<int>(kb));
  RecordProperty("kb_after", static_cast<int>(ResidentKb()));
}

// KUBELET G46: output flushed before the status.
TEST_F(StreamingRobustnessTest, OutputIsWholeHoweverItsEndAndTheExitRace) {
  const std::string container = node.Run(node.RunPod("p"), "c", {"sleep", "5000"});
  std::minstd_rand random(1);
  for (int i = Rounds(60); i > 0; --i) {
    const size_t size = random() % 300'000;
    SpdyClient client(ExecUrl(container, {"head", "-c", absl::StrCat(size), "/dev/zero"}, kOut));
    client.OpenRemote(kOut);
    ASSERT_TRUE(client.UntilClosed());
    ASSERT_EQ(client.text("stdout").size(), size);
    ASSERT_THAT(client.text("error"), testing::HasSubstr("Success"));
  }
}

TEST_F(StreamingRobustnessTest, MuchDataComesBackWithTheSameDigest) {
  const std::string pod = node.RunPod("p"), container = RunEcho(pod), sent = Noise(16 << 20);
  SpdyClient exec(ExecUrl(container, {"cat"}, kInOut));
  exec.OpenRemote(kInOut);
  exec.Send(exec.names["stdin"], sent);
  exec.Finish(exec.names["stdin"]);
  ASSERT_TRUE(exec.UntilClosed());
  EXPECT_EQ(Sha256(exec.text("stdout")), Sha256(sent));
  auto forward = Forward(pod);
  const uint32_t data = OpenPair(*forward, 0);
  forward->Send(data, sent);
  ASSERT_TRUE(forward->Until([&] { return forward->streams[data].data.size() >= sent.size(); }));
  EXPECT_EQ(Sha256(forward->streams[data].data), Sha256(sent));
}

// Port 8080 of the namespace that pods in the host's network share with the test. All connections stay open until the end.
class PatientEcho {
 public:
  explicit PatientEcho(size_t connections) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    sockaddr_in at{AF_INET, htons(8080), {htonl(INADDR_LOOPBACK)}, {}};
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
    EXPECT_EQ(::listen(fd_, 512), 0);
    thread_ = std::thread([this, connections] {
      while (fds_.size() < connections &&
             (fds_.push_back(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)), fds_.back() >= 0))
        continue;
      // Only now, so that they are all open at once.
      char buffer[256];
      for (int fd : fds_)
        if (const ssize_t n = ::read(fd, buffer, sizeof(buffer)); n > 0)
          (void)!::write(fd, buffer, static_cast<size_t>(n));
    });
  }
  ~PatientEcho() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    for (int fd : fds_) ::close(fd);
    ::close(fd_);
  }
  PatientEcho(const PatientEcho&) = delete;
  PatientEcho& operator=(const PatientEcho&) = delete;

 private:
  const int fd_;
  std::vector<int> fds_;
  std::thread thread_;
};

TEST_F(StreamingRobustnessTest, HundredsOfConnectionsShareASession) {
  constexpr int kConnections = 300;
  const std::string pod = node.RunPod("p", [](cri::PodSandboxConfig& config) {
    config.clear_hostname();
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
  });
  PatientEcho echo(kConnections);
  auto client = Forward(pod);
  std::vector<uint32_t> pairs;
  for (int i = 0; i < kConnections; ++i) {
    pairs.push_back(OpenPair(*client, i));
    client->Send(pairs.back(), absl::StrCat("connection ", i));
  }
  auto answered = [&](uint32_t id) { return !client->streams[id].data.empty() || client->streams[id].reset; };
  ASSERT_TRUE(client->Until([&] { return std::all_of(pairs.begin(), pairs.end(), answered); }));
  int right = 0;
  for (int i = 0; i < kConnections; ++i)
    if (client->streams[pairs[static_cast<size_t>(i)]].data == absl::StrCat("connection ", i)) ++right;
  EXPECT_EQ(right, kConnections);
}

}  // namespace
}  // namespace wherry::e2e
