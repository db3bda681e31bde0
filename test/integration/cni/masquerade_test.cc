#include "cni/nft/masquerade.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "cni/nft/label.h"
#include "cni/nft/table.h"
#include "runtime/sys/child.h"
#include "test/integration/cni/node.h"

namespace wherry::cni_test {
namespace {

using nlohmann::json;

// The outside is a pod on another bridge that has no route back to the pods: it can only answer what comes from its own network.
class MasqueradeTest : public Node {
 protected:
  json Outside() {
    json conf = BridgeConf({{"name", "outside"}, {"bridge", "out0"}, {"isDefaultGateway", false}, {"isGateway", true}});
    conf["ipam"]["ranges"] = json::parse(R"([[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8::/64"}]])");
    return conf;
  }
  static size_t Rules() {
    auto netfilter = nft::Netfilter::Open();
    auto rules = netfilter->ListRules("cni_plugins_masquerade");
    EXPECT_TRUE(rules.ok()) << rules.status();
    return static_cast<size_t>(
        std::count_if(rules->begin(), rules->end(), [](const nft::Rule& rule) { return rule.chain == "masq_checks"; }));
  }
};

TEST_F(MasqueradeTest, OnlyWhatLeavesTheNetworkIsHidden) {
  const json conf = BridgeConf({{"ipMasq", true}});
  MakePod("a"), MakePod("b"), MakePod("o");
  const Outcome a = Add("a", conf), b = Add("b", conf), o = Add("o", Outside());
  ASSERT_TRUE(a.ok()) << a.output;
  ASSERT_TRUE(b.ok() && o.ok());
  std::unique_ptr<Server> near, far;
  InPod("b", [&] { near = std::make_unique<Server>(80, ""); });
  InPod("o", [&] { far = std::make_unique<Server>(80, ""); });
  InPod("a", [&] {
    EXPECT_EQ(Fetch("10.88.0.3", 80), "10.88.0.2");
    EXPECT_EQ(Fetch("fd00:88::3", 80), "fd00:88::2");
    EXPECT_EQ(Fetch("192.0.2.2", 80), "192.0.2.1");
    EXPECT_EQ(Fetch("2001:db8::2", 80), "2001:db8::1");
  });
}

// iptables, asked for by name: the program, with the reference's chains, so that either plugin deletes the other's.
TEST_F(MasqueradeTest, IptablesByName) {
  json conf = BridgeConf({{"ipMasq", true}, {"ipMasqBackend", "iptables"}});
  MakePod("a"), MakePod("o");
  ASSERT_TRUE(Add("o", Outside()).ok());
  std::unique_ptr<Server> far;
  InPod("o", [&] { far = std::make_unique<Server>(80, ""); });
  const auto nat = [] {
    sys::Children children;
    auto ended = children.Run({"/usr/sbin/iptables", {"-t", "nat", "-S"}, {}, ""},
                              sys::Children::Clock::now() + std::chrono::seconds(60));
    return ended.ok() ? ended->output : std::string(ended.status().message());
  };
  const std::string reference = std::string(kReference) + "/bridge";
  const bool has_reference = access(reference.c_str(), X_OK) == 0;
  for (int round = 0; round < (has_reference ? 3 : 1); ++round) {
    const std::string adds = round == 1 ? reference : "bridge", deletes = round == 2 ? reference : "bridge";
    const Outcome a = Call(adds, "ADD", "a", conf);
    ASSERT_TRUE(a.ok()) << a.output;
    EXPECT_NE(nat().find("-j MASQUERADE"), std::string::npos) << nat();
    InPod("a", [&] { EXPECT_EQ(Fetch("192.0.2.2", 80) + Fetch("2001:db8::2", 80), "192.0.2.12001:db8::1") << round; });
    conf["prevResult"] = a.json();
    EXPECT_EQ(Call("bridge", "CHECK", "a", conf).output, "") << round;
    EXPECT_EQ(Call(deletes, "DEL", "a", conf).output, "") << round;
    EXPECT_EQ(nat().find("MASQUERADE"), std::string::npos) << round << nat();
    EXPECT_EQ(nat().find("CNI-"), std::string::npos) << round << nat();
    conf.erase("prevResult");
  }
  // GC, and DEL without prevResult.
  conf["cniVersion"] = "1.1.0";
  ASSERT_TRUE(Add("a", conf).ok());
  conf["cni.dev/valid-attachments"] = json::array({{{"containerID", "a"}, {"ifname", "eth0"}}});
  EXPECT_TRUE(Call("bridge", "GC", "a", conf).ok());
  EXPECT_NE(nat().find("MASQUERADE"), std::string::npos);
  conf["cni.dev/valid-attachments"] = json::array();
  EXPECT_TRUE(Call("bridge", "GC", "a", conf).ok());
  EXPECT_EQ(nat().find("CNI-"), std::string::npos) << nat();
  EXPECT_TRUE(Del("a", conf).ok());
  EXPECT_EQ(Rules(), 0U);
}

TEST_F(MasqueradeTest, RulesComeAndGoWithTheContainer) {
  json conf = BridgeConf({{"ipMasq", true}, {"cniVersion", "1.1.0"}});
  MakePod("a"), MakePod("b");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  ASSERT_TRUE(Add("b", conf).ok());
  EXPECT_EQ(Rules(), 4U);
  json check = conf;
  check["prevResult"] = a.json();
  EXPECT_TRUE(Call("bridge", "CHECK", "a", check).ok());
  ASSERT_TRUE(nft::DeleteMasquerade("pods", {"a", "eth0"}).ok());
  EXPECT_NE(Call("bridge", "CHECK", "a", check).output.find("rules for container a"), std::string::npos);
  EXPECT_EQ(Rules(), 2U);
  EXPECT_TRUE(Del("a", conf).ok());
  EXPECT_EQ(Rules(), 2U);
  RemovePod("b");
  conf["cni.dev/valid-attachments"] = json::array({{{"containerID", "b"}, {"ifname", "eth0"}}});
  EXPECT_TRUE(Call("bridge", "GC", "b", conf).ok());
  EXPECT_EQ(Rules(), 2U);
  conf["cni.dev/valid-attachments"] = json::array();
  EXPECT_TRUE(Call("bridge", "GC", "b", conf).ok());
  EXPECT_EQ(Rules(), 0U);
  EXPECT_TRUE(Del("b", conf).ok());
}

TEST_F(MasqueradeTest, AFailedAddLeavesNoRule) {
  json conf = BridgeConf({{"ipMasq", true}});
  MakePod("a");
  ASSERT_TRUE(Add("a", conf).ok());
  ASSERT_TRUE(Del("a", conf).ok());
  EXPECT_EQ(Rules(), 0U);
  conf["ipam"]["routes"] = json::parse(R"([{"dst": "10.99.0.0/16", "gw": "172.16.0.1"}])");
  EXPECT_FALSE(Add("a", conf).ok());
  EXPECT_EQ(Rules(), 0U);
}

// Two hashes as the reference plugins write them (SHA-512, the first 16 hex digits), taken from coreutils' sha512sum.
TEST(Label, IsTheReferences) {
  EXPECT_EQ(nft::AttachmentLabel("pods", {"a", "eth0"}), "aa9217ce5dd9862e-a193fd394fc69048");
  EXPECT_EQ(nft::Comment("pods", {std::string(200, 'c'), "eth0"}).size(), 128U);
}

}  // namespace
}  // namespace wherry::cni_test
