#include <arpa/inet.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "cni/netlink/route.h"
#include "cni/nft/table.h"
#include "test/integration/cni/node.h"

namespace wherry::cni_test {
namespace {

using nlohmann::json;

// Pods "a" and "b" on the node's bridge, and "o", another host on another bridge (192.0.2.2, 2001:db8::2), whose way to the
// node is 192.0.2.1 and 2001:db8::1. Ports reflect (hairpinMode), since where br_netfilter is loaded the kernel translates on
// the bridge, and a pod that calls its own host port would not get its packet back otherwise. Servers answer with their name, or with the address they saw.
class PortmapTest : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    MakePod("a"), MakePod("b"), MakePod("o");
    json outside = BridgeConf({{"name", "outside"}, {"bridge", "out0"}});
    outside["ipam"]["ranges"] = json::parse(R"([[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8::/64"}]])");
    for (const char* pod : {"a", "b"}) results_[pod] = Add(pod, BridgeConf({{"hairpinMode", true}})).json();
    results_["o"] = Add("o", outside).json();
    for (const auto& [pod, result] : results_) ASSERT_TRUE(result.contains("ips")) << result;
  }
  json Conf(const std::string& pod, const char* mappings, const json& more = json::object()) {
    json conf = {{"cniVersion", "1.1.0"}, {"name", "pods"}, {"type", "portmap"}, {"prevResult", results_[pod]}};
    conf["prevResult"]["cniVersion"] = "1.1.0";
    conf["runtimeConfig"]["portMappings"] = json::parse(mappings);
    conf.merge_patch(more);
    return conf;
  }
  // Rules that belong to somebody.
  static size_t Rules() {
    auto netfilter = nft::Netfilter::Open();
    auto rules = netfilter->ListRules("wherry_portmap");
    EXPECT_TRUE(rules.ok()) << rules.status();
    return static_cast<size_t>(
        std::count_if(rules->begin(), rules->end(), [](const nft::Rule& rule) { return !rule.comment.empty(); }));
  }
  std::unique_ptr<Server> ServeIn(const std::string& pod, int port, const std::string& name) {
    std::unique_ptr<Server> out;
    InPod(pod, [&] { out = std::make_unique<Server>(port, name); });
    return out;
  }

  std::map<std::string, json> results_;
};

constexpr char kWeb[] = R"([{"hostPort": 8080, "containerPort": 80, "protocol": "TCP"}])";

TEST_F(PortmapTest, FromEverywhere) {
  const auto server = ServeIn("a", 80, "a");
  const Outcome added = Call("portmap", "ADD", "a", Conf("a", kWeb));
  ASSERT_TRUE(added.ok()) << added.output;
  EXPECT_EQ(added.json()["ips"], results_["a"]["ips"]);
  InPod("o", [] {
    EXPECT_EQ(Fetch("192.0.2.1", 8080), "a");
    EXPECT_EQ(Fetch("2001:db8::1", 8080), "a");
  });
  InPod("b", [] {
    EXPECT_EQ(Fetch("10.88.0.1", 8080), "a");
    EXPECT_EQ(Fetch("fd00:88::1", 8080), "a");
    EXPECT_EQ(Fetch("192.0.2.1", 8080), "a");
  });
  InPod("a", [] {
    EXPECT_EQ(Fetch("192.0.2.1", 8080), "a");
    EXPECT_EQ(Fetch("2001:db8::1", 8080), "a");
  });
  EXPECT_EQ(Fetch("127.0.0.1", 8080), "a");
  EXPECT_EQ(Fetch("10.88.0.1", 8080), "a");
  EXPECT_EQ(Fetch("fd00:88::1", 8080), "a");
  EXPECT_EQ(Fetch("::1", 8080), "");
}

TEST_F(PortmapTest, TheContainerSeesItsClientsAddress) {
  const auto server = ServeIn("a", 80, "");
  ASSERT_TRUE(Call("portmap", "ADD", "a", Conf("a", kWeb)).ok());
  InPod("o", [] {
    EXPECT_EQ(Fetch("192.0.2.1", 8080), "192.0.2.2");
    EXPECT_EQ(Fetch("2001:db8::1", 8080), "2001:db8::2");
  });
  InPod("b", [] { EXPECT_EQ(Fetch("192.0.2.1", 8080), "10.88.0.1"); });
  InPod("b", [] { EXPECT_EQ(Fetch("10.88.0.2", 80), "10.88.0.3"); });
  ASSERT_TRUE(Call("portmap", "ADD", "a", Conf("a", kWeb, {{"masqAll", true}})).ok());
  InPod("o", [] { EXPECT_EQ(Fetch("192.0.2.1", 8080), "10.88.0.1"); });
}

TEST_F(PortmapTest, OnlyWhatIsForTheHost) {
  const auto wrong = ServeIn("a", 80, "wrong"), right = ServeIn("o", 8080, "right");
  ASSERT_TRUE(Call("portmap", "ADD", "a", Conf("a", kWeb)).ok());
  InPod("b", [] {
    EXPECT_EQ(Fetch("192.0.2.2", 8080), "right");
    EXPECT_EQ(Fetch("2001:db8::2", 8080), "right");
  });
  EXPECT_EQ(Fetch("192.0.2.2", 8080), "right");
}

TEST_F(PortmapTest, OneAddressGoesBeforeAll) {
  const auto a = ServeIn("a", 80, "a"), b = ServeIn("b", 80, "b");
  ASSERT_TRUE(Call("portmap", "ADD", "a", Conf("a", kWeb)).ok());
  const Outcome one = Call("portmap", "ADD", "b", Conf("b", R"([
      {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.1"},
      {"hostPort": 8081, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0"},
      {"hostPort": 8082, "containerPort": 80, "hostIP": "::"}])"));
  ASSERT_TRUE(one.ok()) << one.output;
  InPod("o", [] {
    EXPECT_EQ(Fetch("192.0.2.1", 8080), "b");
    EXPECT_EQ(Fetch("2001:db8::1", 8080), "a");
    EXPECT_EQ(Fetch("192.0.2.1", 8081), "b");
    EXPECT_EQ(Fetch("2001:db8::1", 8081), "");
    EXPECT_EQ(Fetch("192.0.2.1", 8082), "");
    EXPECT_EQ(Fetch("2001:db8::1", 8082), "b");
  });
}

// CVE-2020-8558: with route_localnet alone, a pod could speak to what listens on the host's 127.0.0.1.
TEST_F(PortmapTest, LoopbackServicesStayClosedToPods) {
  const Server host(9000, "host");
  ASSERT_TRUE(Call("portmap", "ADD", "a", Conf("a", kWeb)).ok());
  EXPECT_EQ(Fetch("127.0.0.1", 9000), "host");
  InPod("b", [&] {
    ASSERT_TRUE(std::ofstream("/proc/sys/net/ipv4/conf/all/route_localnet") << "1" << std::flush);
    auto socket = netlink::Socket::Open();
    ASSERT_TRUE(socket.ok());
    auto eth0 = netlink::GetLink(*socket, "eth0");
    ASSERT_TRUE(eth0.ok());
    netlink::Batch batch;
    netlink::PutNewRoute(batch, eth0->index,
                         {.dst = *cni::IpPrefix::Parse("127.0.0.1/32"), .gw = *cni::IpAddress::Parse("10.88.0.1")});
    ASSERT_TRUE(socket->Exchange(batch).ok());
    EXPECT_EQ(Fetch("127.0.0.1", 9000), "");
  });
}

TEST_F(PortmapTest, RulesComeAndGoWithTheContainer) {
  const json conf = Conf("a", kWeb);
  ASSERT_TRUE(Call("portmap", "ADD", "a", conf).ok());
  EXPECT_EQ(Rules(), 5U);
  ASSERT_TRUE(Call("portmap", "ADD", "a", conf).ok());
  EXPECT_EQ(Rules(), 5U);
  EXPECT_TRUE(Call("portmap", "CHECK", "a", conf).ok());
  EXPECT_TRUE(Call("portmap", "STATUS", "a", conf).ok());
  ASSERT_TRUE(Call("portmap", "ADD", "b", Conf("b", kWeb)).ok());
  EXPECT_EQ(Rules(), 10U);
  json bare = {{"cniVersion", "1.1.0"}, {"name", "pods"}, {"type", "portmap"}};
  EXPECT_TRUE(Call("portmap", "DEL", "a", bare).ok());
  EXPECT_TRUE(Call("portmap", "DEL", "a", bare).ok());
  EXPECT_EQ(Rules(), 5U);
  EXPECT_FALSE(Call("portmap", "CHECK", "a", conf).ok());
  bare["cni.dev/valid-attachments"] = json::array({{{"containerID", "b"}, {"ifname", "eth0"}}});
  EXPECT_TRUE(Call("portmap", "GC", "a", bare).ok());
  EXPECT_EQ(Rules(), 5U);
  bare["cni.dev/valid-attachments"] = json::array();
  EXPECT_TRUE(Call("portmap", "GC", "a", bare).ok());
  EXPECT_EQ(Rules(), 0U);
}

TEST_F(PortmapTest, ManyMappingsAreOneTransaction) {
  json mappings = json::array();
  for (int port = 1000; port < 2000; ++port)
    mappings.push_back({{"hostPort", port}, {"containerPort", 80}, {"protocol", "tcp"}});
  const auto server = ServeIn("a", 80, "a");
  const Outcome added = Call("portmap", "ADD", "a", Conf("a", mappings.dump().c_str()));
  ASSERT_TRUE(added.ok()) << added.output;
  EXPECT_EQ(Rules(), 2003U);
  InPod("o", [] { EXPECT_EQ(Fetch("192.0.2.1", 1999), "a"); });
  EXPECT_TRUE(Call("portmap", "DEL", "a", Conf("a", mappings.dump().c_str())).ok());
  EXPECT_EQ(Rules(), 0U);
}

TEST_F(PortmapTest, MalformedCallsChangeNothing) {
  struct Case {
    const char* mappings;
    const char* more;
    int code;
  };
  const Case cases[] = {
      {R"([{"hostPort": 0, "containerPort": 80}])", "{}", 7},
      {R"([{"hostPort": 80}])", "{}", 7},
      {R"([{"hostPort": 65536, "containerPort": 80}])", "{}", 7},
      {R"([{"hostPort": -1, "containerPort": 80}])", "{}", 7},
      {R"([{"hostPort": "80", "containerPort": 80}])", "{}", 7},
      {R"([{"hostPort": 80, "containerPort": 80, "protocol": "icmp"}])", "{}", 7},
      {R"([{"hostPort": 80, "containerPort": 80, "hostIP": "x"}])", "{}", 7},
      {R"({})", "{}", 7},
      {kWeb, R"({"prevResult": null})", 7},
      {kWeb, R"({"prevResult": {"ips": null}})", 7},
      {kWeb, R"({"snat": 1})", 7},
      {kWeb, R"({"backend": "iptables"})", 2},
      {kWeb, R"({"conditionsV4": ["-s", "10.0.0.0/8"]})", 2},
      {kWeb, R"({"markMasqBit": 3})", 2},
  };
  for (const Case& bad : cases) {
    const Outcome outcome = Call("portmap", "ADD", "a", Conf("a", bad.mappings, json::parse(bad.more)));
    EXPECT_EQ(outcome.code(), bad.code) << bad.mappings << bad.more << outcome.output;
  }
  EXPECT_EQ(Rules(), 0U);
  EXPECT_TRUE(Call("portmap", "ADD", "a", Conf("a", "[]")).ok());
  EXPECT_EQ(Rules(), 0U);
}

// One UDP socket on the other host that goes on sending, as a resolver would: its flow must not outlive the mapping.
class UdpClient {
 public:
  UdpClient() : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{5, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(53);
    inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
    EXPECT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  }
  // The answer, or "refused".
  std::string Ask() const {
    char answer[64] = {};
    if (send(socket_.get(), "?", 1, 0) != 1) return "refused";
    const ssize_t size = recv(socket_.get(), answer, sizeof(answer), 0);
    return size > 0 ? std::string(answer, static_cast<size_t>(size)) : "refused";
  }

 private:
  sys::UniqueFd socket_;
};

class UdpServer {
 public:
  UdpServer(int port, const std::string& name) : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&own), sizeof(own)), 0) << strerror(errno);
    child_ = fork();
    if (child_ != 0) return;
    while (true) {
      char byte = 0;
      sockaddr_in peer{};
      socklen_t size = sizeof(peer);
      if (recvfrom(socket_.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&peer), &size) < 0) _exit(1);
      if (sendto(socket_.get(), name.data(), name.size(), 0, reinterpret_cast<sockaddr*>(&peer), size) < 0) _exit(1);
    }
  }
  ~UdpServer() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

 private:
  sys::UniqueFd socket_;
  pid_t child_ = -1;
};

TEST_F(PortmapTest, SctpFromAnotherHost) {
  if (!sys::UniqueFd(socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP)).valid()) GTEST_SKIP() << "this kernel has no SCTP";
  std::unique_ptr<Server> server;
  InPod("a", [&] { server = std::make_unique<Server>(80, "a", IPPROTO_SCTP); });
  const Outcome added =
      Call("portmap", "ADD", "a", Conf("a", R"([{"hostPort": 8080, "containerPort": 80, "protocol": "SCTP"}])"));
  ASSERT_TRUE(added.ok()) << added.output;
  InPod("o", [] {
    EXPECT_EQ(Fetch("192.0.2.1", 8080, 5, IPPROTO_SCTP), "a");
    EXPECT_EQ(Fetch("2001:db8::1", 8080, 5, IPPROTO_SCTP), "a");
    EXPECT_EQ(Fetch("192.0.2.1", 8080), "") << "TCP is not mapped";
  });
}

TEST_F(PortmapTest, UdpFlowsFollowTheMapping) {
  constexpr char kDns[] = R"([{"hostPort": 53, "containerPort": 5353, "protocol": "UDP"}])";
  std::unique_ptr<UdpServer> a, b;
  std::unique_ptr<UdpClient> client;
  InPod("a", [&] { a = std::make_unique<UdpServer>(5353, "a"); });
  InPod("b", [&] { b = std::make_unique<UdpServer>(5353, "b"); });
  InPod("o", [&] { client = std::make_unique<UdpClient>(); });
  ASSERT_TRUE(Call("portmap", "ADD", "b", Conf("b", R"([{"hostPort": 54, "containerPort": 80}])")).ok());
  EXPECT_EQ(client->Ask(), "refused");
  ASSERT_TRUE(Call("portmap", "ADD", "a", Conf("a", kDns)).ok());
  EXPECT_EQ(client->Ask(), "a");
  ASSERT_TRUE(Call("portmap", "DEL", "a", Conf("a", kDns)).ok());
  ASSERT_TRUE(Call("portmap", "ADD", "b", Conf("b", kDns)).ok());
  EXPECT_EQ(client->Ask(), "b");
  // Without runtimeConfig, by the container's address.
  json bare = Conf("b", "[]");
  bare.erase("runtimeConfig");
  ASSERT_TRUE(Call("portmap", "DEL", "b", bare).ok());
  EXPECT_EQ(client->Ask(), "refused");
}

}  // namespace
}  // namespace wherry::cni_test
