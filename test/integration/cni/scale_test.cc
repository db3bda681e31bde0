#include <arpa/inet.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "absl/strings/numbers.h"
#include "cni/nft/table.h"
#include "runtime/sys/file.h"
#include "test/integration/cni/node.h"

// Many pods at once, and many kills.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

constexpr uint16_t kPort = 7000;

// A UDP socket on a pod's own address, made in its namespace.
class Peer {
 public:
  explicit Peer(const std::string& address) : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{10, 0};  // for the failing case only
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    address_.sin_family = AF_INET;
    address_.sin_port = htons(kPort);
    EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &address_.sin_addr), 1) << address;
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof(address_)), 0) << strerror(errno);
  }
  bool Reaches(const Peer& other) const {
    char byte = 'x';
    sockaddr_in from{};
    socklen_t size = sizeof(from);
    if (sendto(socket_.get(), &byte, 1, 0, reinterpret_cast<const sockaddr*>(&other.address_),
               sizeof(other.address_)) != 1)
      return false;
    return recvfrom(other.socket_.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size) == 1 &&
           from.sin_addr.s_addr == address_.sin_addr.s_addr;
  }

 private:
  sys::UniqueFd socket_;
  sockaddr_in address_{};
};

class ScaleTest : public Node {
 protected:
  static constexpr int kPods = 200;

  void SetUp() override {
    Node::SetUp();
    rlimit files{4096, 4096};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0) << strerror(errno);
    for (int i = 0; i < kPods; ++i) {
      ids_.push_back("p" + std::to_string(i));
      MakePod(ids_.back());
    }
  }
  std::vector<std::string> ids_;
};

TEST_F(ScaleTest, TwoHundredAtOnceReachEachOther) {
  const json conf = BridgeConf({{"ipMasq", true}});
  const std::vector<Outcome> added = AtOnce(ids_, "bridge", "ADD", conf);
  std::set<std::string> addresses;
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < kPods; ++i) {
    for (size_t family : {0, 1}) addresses.insert(AddressOf(added[i], family));
    InPod(ids_[i], [&] { peers.push_back(std::make_unique<Peer>(AddressOf(added[i]))); });
  }
  EXPECT_EQ(addresses.size(), 2U * kPods);
  EXPECT_EQ(Leases(), addresses);
  // All ways would be 39,800; a star and a ring cross every port in both directions, and let every pod answer.
  for (int i = 0; i < kPods; ++i) {
    const Peer& next = *peers[(i + 1) % kPods];
    EXPECT_TRUE(peers[i]->Reaches(next)) << i;
    EXPECT_TRUE(i == 0 || (peers[0]->Reaches(*peers[i]) && peers[i]->Reaches(*peers[0]))) << i;
  }
  AtOnce(ids_, "bridge", "DEL", conf);
  EXPECT_TRUE(Leases().empty());
  EXPECT_TRUE(Links("veth").empty());
  auto netfilter = nft::Netfilter::Open();
  auto rules = netfilter->ListRules("cni_plugins_masquerade");
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_EQ(rules->size(), 3U);  // those of the chain itself
}

// A chain of all plugins that leave something on the node, with calls that are killed at any instant.
class KillTest : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    json outside = BridgeConf({{"name", "outside"}, {"bridge", "out0"}});
    outside["ipam"]["ranges"] = json::parse(R"([[{"subnet": "192.0.2.0/24"}]])");
    for (int i = 0; i < kPods; ++i) MakePod(Pod(i));
    MakePod("o");
    ASSERT_TRUE(Add("o", outside).ok());
    ends_before_ = Links("veth").size();
  }
  static std::string Pod(int i) { return "pod" + std::to_string(i); }
  json ConfOf(const std::string& plugin, const json& previous) const {
    json conf = BridgeConf({{"ipMasq", true}, {"macspoofchk", true}});
    if (plugin != "bridge") conf = {{"cniVersion", "1.0.0"}, {"name", "pods"}, {"type", plugin}};
    if (plugin == "portmap")
      conf["runtimeConfig"]["portMappings"] =
          json::parse(R"([{"hostPort": 53, "containerPort": 53, "protocol": "udp"}])");
    if (plugin == "bandwidth")
      conf["runtimeConfig"]["bandwidth"] = json::parse(R"({"egressRate": 8000000, "egressBurst": 512000})");
    if (!previous.is_null()) conf["prevResult"] = previous;
    return conf;
  }
  // Kills the call after some microseconds, or after it has ended.
  bool Strike(const std::string& plugin, const std::string& command, const std::string& id, const json& conf,
              unsigned microseconds, json* result) {
    sys::UniqueFd output(memfd_create("output", MFD_CLOEXEC));
    const pid_t pid = Start(plugin, conf.dump(), CallVariables(command, id), output.get());
    usleep(microseconds);  // spreads the kills over the run
    kill(pid, SIGKILL);
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(lseek(output.get(), 0, SEEK_SET), 0);
    const std::string text = sys::ReadAll(output.get(), 1 << 20).value_or("");
    EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) != 0) << plugin << command << text;
    if (status == 0 && result != nullptr) *result = json::parse(text, nullptr, false);
    return status == 0;
  }
  // From another host to the mapped port, so that connection tracking has something to forget.
  void Talk() {
    InPod("o", [] {
      sys::UniqueFd client(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(53);
      inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
      EXPECT_EQ(sendto(client.get(), "?", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 1);
    });
  }
  static size_t Owned(const std::string& table, uint8_t family) {
    auto netfilter = nft::Netfilter::Open();
    auto rules = netfilter->ListRules(table, family);
    EXPECT_TRUE(rules.ok()) << rules.status();
    const auto owned = [&](const nft::Rule& rule) {
      return table == "filter" ? !rule.owner.empty() : !rule.comment.empty();
    };
    return static_cast<size_t>(std::count_if(rules->begin(), rules->end(), owned));
  }
  void ExpectNothingLeft() {
    EXPECT_TRUE(Leases().empty());
    EXPECT_EQ(Links("veth").size(), ends_before_);
    EXPECT_TRUE(Links("ifb").empty());
    EXPECT_EQ(Owned("wherry_portmap", NFPROTO_INET) + Owned("cni_plugins_masquerade", NFPROTO_INET), 0U);
    EXPECT_EQ(Owned("nat", NFPROTO_BRIDGE) + Owned("filter", NFPROTO_IPV4) + Owned("filter", NFPROTO_IPV6), 0U);
    // The node's own multicasts are tracked too; what the chain deals with is UDP.
    std::ifstream flows("/proc/net/nf_conntrack");
    for (std::string line; std::getline(flows, line);) EXPECT_EQ(line.find(" udp "), std::string::npos) << line;
  }

  static constexpr int kPods = 4;
  static constexpr const char* kChain[] = {"bridge", "portmap", "bandwidth", "firewall"};
  size_t ends_before_ = 0;
};

// WHERRY_CNI_KILLS sets the number of ADDs, each with its DEL; 5000 take some minutes.
TEST_F(KillTest, KilledAnywhereNothingIsLeft) {
  const char* wanted = std::getenv("WHERRY_CNI_KILLS");
  int runs = 100;
  ASSERT_TRUE(wanted == nullptr || absl::SimpleAtoi(wanted, &runs)) << wanted;
  std::mt19937 random(20240501);
  const auto upto = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  int killed = 0;
  for (int run = 0; run < runs && !HasFailure(); ++run) {
    const std::string id = Pod(run % kPods);
    const unsigned victim = upto(std::size(kChain) + 1);  // the last: none
    json result;
    for (unsigned i = 0; i < std::size(kChain); ++i) {
      if (i == victim) {
        killed += Strike(kChain[i], "ADD", id, ConfOf(kChain[i], result), upto(8000), nullptr) ? 0 : 1;
        break;
      }
      const Outcome added = Call(kChain[i], "ADD", id, ConfOf(kChain[i], result));
      ASSERT_TRUE(added.ok()) << kChain[i] << added.output;
      result = added.json();
      if (i == 1) Talk();
    }
    const json known = victim < std::size(kChain) ? json() : result;  // a failed ADD has no result
    const bool twice = upto(3) == 0;
    for (unsigned i = std::size(kChain); i-- > 0;) {
      if (twice) killed += Strike(kChain[i], "DEL", id, ConfOf(kChain[i], known), upto(8000), nullptr) ? 0 : 1;
      const Outcome deleted = Call(kChain[i], "DEL", id, ConfOf(kChain[i], known));
      ASSERT_TRUE(deleted.ok()) << kChain[i] << deleted.output;
    }
    if (run % 25 == 24 || run + 1 == runs) ExpectNothingLeft();
  }
  RecordProperty("killed", killed);
  EXPECT_GT(killed, runs / 10);
}

}  // namespace
}  // namespace wherry::cni_test
