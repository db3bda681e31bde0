#include <arpa/inet.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "cni/netlink/qdisc.h"
#include "test/integration/cni/node.h"

namespace wherry::cni_test {
namespace {

using nlohmann::json;

class BandwidthTest : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    MakePod("a"), MakePod("b");
    result_ = Add("a", BridgeConf()).json();
    ASSERT_TRUE(result_.contains("ips")) << result_;
    ASSERT_TRUE(Add("b", BridgeConf()).ok());
  }
  json Conf(const char* limits, const json& more = json::object()) {
    json conf = {{"cniVersion", "1.1.0"}, {"name", "pods"}, {"type", "bandwidth"}, {"prevResult", result_}};
    conf["prevResult"]["cniVersion"] = "1.1.0";
    conf["runtimeConfig"]["bandwidth"] = json::parse(limits);
    conf.merge_patch(more);
    return conf;
  }
  Outcome Do(const std::string& command, const json& conf) { return Call("bandwidth", command, "a", conf); }
  // Bytes a second of one TCP connection between the pods: what arrives between the first 200 kB, which empty the bucket,
  // and the last of `bytes`.
  double Rate(const std::string& from, const std::string& to, const std::string& address, size_t bytes);

  json result_;
};

double BandwidthTest::Rate(const std::string& from, const std::string& to, const std::string& address, size_t bytes) {
  constexpr size_t kFirst = 200000;
  sys::UniqueFd listener, client, server;
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(5001);
  inet_pton(AF_INET, address.c_str(), &at.sin_addr);
  InPod(to, [&] {
    listener.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0) << strerror(errno);
    EXPECT_EQ(listen(listener.get(), 1), 0);
  });
  InPod(from, [&] {
    client.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0) << strerror(errno);
  });
  server.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const pid_t writer = fork();
  if (writer == 0) {
    const std::array<char, 32768> block{};
    for (size_t sent = 0; sent < bytes;) {
      const ssize_t size = write(client.get(), block.data(), std::min(block.size(), bytes - sent));
      if (size <= 0) _exit(1);
      sent += static_cast<size_t>(size);
    }
    _exit(0);
  }
  std::array<char, 65536> block{};
  size_t got = 0, at_start = 0;
  std::chrono::steady_clock::time_point start;
  while (got < bytes) {
    const ssize_t size = read(server.get(), block.data(), block.size());
    if (size <= 0) break;
    got += static_cast<size_t>(size);
    if (at_start == 0 && got >= kFirst) at_start = got, start = std::chrono::steady_clock::now();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(waitpid(writer, nullptr, 0), writer);
  EXPECT_EQ(got, bytes);
  return static_cast<double>(got - at_start) / elapsed.count();
}

// 8 and 16 Mbit/s, with 64 kB at once.
constexpr char kLimits[] =
    R"({"ingressRate": 8000000, "ingressBurst": 512000, "egressRate": 16000000, "egressBurst": 512000})";

TEST_F(BandwidthTest, BothWaysAreLimited) {
  const Outcome added = Do("ADD", Conf(kLimits));
  ASSERT_TRUE(added.ok()) << added.output;
  EXPECT_EQ(added.json()["interfaces"].size(), 4U);
  // Of some tries one has to be within a tenth of the limit: on a busy machine one end or the other may not run for a while, and the
  // wire's headers, which are limited too, take a twentieth.
  const auto expect_rate = [&](double limit, const std::string& from, const std::string& to, const char* address) {
    double rate = 0;
    for (int attempt = 0; attempt < 8 && (rate < limit * 0.9 || rate > limit * 1.1); ++attempt)
      rate = Rate(from, to, address, static_cast<size_t>(limit * 1.5));
    EXPECT_GT(rate, limit * 0.9) << from << " to " << to;
    EXPECT_LT(rate, limit * 1.1) << from << " to " << to;
  };
  expect_rate(1e6, "b", "a", "10.88.0.2");
  expect_rate(2e6, "a", "b", "10.88.0.3");
}

TEST_F(BandwidthTest, ComesAndGoesWithTheContainer) {
  const json conf = Conf(kLimits);
  const Outcome added = Do("ADD", conf);
  ASSERT_TRUE(added.ok()) << added.output;
  const std::vector<std::string> ifbs = Links("ifb");
  ASSERT_EQ(ifbs.size(), 1U);
  EXPECT_EQ(ifbs[0].size(), 15U);
  EXPECT_TRUE(Do("CHECK", conf).ok()) << Do("CHECK", conf).output;
  EXPECT_FALSE(Do("CHECK", Conf(R"({"ingressRate": 16000000, "ingressBurst": 512000})")).ok());
  EXPECT_TRUE(Do("ADD", conf).ok());
  EXPECT_EQ(Links("ifb").size(), 1U);
  EXPECT_TRUE(Do("STATUS", conf).ok());
  json gc = conf;
  gc["cni.dev/valid-attachments"] = json::array({{{"containerID", "a"}, {"ifname", "eth0"}}});
  EXPECT_TRUE(Do("GC", gc).ok());
  EXPECT_EQ(Links("ifb").size(), 1U);
  gc["cni.dev/valid-attachments"] = json::array();
  EXPECT_TRUE(Do("GC", gc).ok());
  EXPECT_EQ(Links("ifb").size(), 0U);
  EXPECT_TRUE(Do("ADD", conf).ok());
  EXPECT_TRUE(Do("DEL", conf).ok());
  EXPECT_TRUE(Do("DEL", conf).ok());
  EXPECT_EQ(Links("ifb").size(), 0U);
}

// Above 4 GiB/s the rate has an attribute of its own; the burst is what the kubelet's annotations come with.
TEST_F(BandwidthTest, LargeRates) {
  const json conf = Conf(R"({"ingressRate": 100000000000, "ingressBurst": 4294967295})");
  ASSERT_TRUE(Do("ADD", conf).ok());
  EXPECT_TRUE(Do("CHECK", conf).ok()) << Do("CHECK", conf).output;
  EXPECT_EQ(Links("ifb").size(), 0U);
}

TEST_F(BandwidthTest, MalformedCallsChangeNothing) {
  struct Case {
    const char* limits;
    const char* more;
    int code;
  };
  const Case cases[] = {
      {R"({"ingressRate": 8000})", "{}", 7},
      {R"({"egressBurst": 8000})", "{}", 7},
      {R"({"egressBurst": 8000, "egressRate": -5})", "{}", 7},
      {R"({"egressBurst": 8000, "egressRate": "1M"})", "{}", 7},
      {R"({"egressBurst": 34359738368, "egressRate": 8000})", "{}", 7},
      {R"([])", "{}", 7},
      {kLimits, R"({"prevResult": null})", 7},
      {kLimits, R"({"unshapedSubnets": ["10.0.0.0/8"]})", 2},
  };
  for (const Case& bad : cases) {
    const Outcome outcome = Do("ADD", Conf(bad.limits, json::parse(bad.more)));
    EXPECT_EQ(outcome.code(), bad.code) << bad.limits << bad.more << outcome.output;
  }
  EXPECT_TRUE(Links("ifb").empty());
}

}  // namespace
}  // namespace wherry::cni_test
