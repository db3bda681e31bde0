#include <linux/netfilter.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "cni/nft/table.h"
#include "test/integration/cni/node.h"
#include "test/integration/cni/wire.h"

// macspoofchk of the bridge plugin: what a container sends under another's address does not arrive.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

class MacSpoofTest : public Node {
 protected:
  static json Conf(bool check = true) {
    return {{"cniVersion", "1.0.0"}, {"name", "pods"}, {"type", "bridge"}, {"bridge", "cni0"}, {"macspoofchk", check}};
  }
  Wire MakeWire(const std::string& id) {
    std::optional<Wire> out;
    InPod(id, [&] { out.emplace(); });
    return *std::move(out);
  }
  static size_t Rules() {
    auto netfilter = nft::Netfilter::Open();
    auto rules = netfilter->ListRules("nat", NFPROTO_BRIDGE);
    return rules.ok() ? rules->size() : 0;
  }
};

TEST_F(MacSpoofTest, OnlyTheOwnAddressGoesThrough) {
  const std::string foreign = "02:00:00:00:00:99";
  MakePod("a"), MakePod("b");
  const Outcome added = Add("a", Conf());
  ASSERT_TRUE(added.ok()) << added.output;
  ASSERT_TRUE(Add("b", Conf(false)).ok());
  const Wire a = MakeWire("a"), b = MakeWire("b");
  a.Send('x', 0, foreign), a.Send('y');
  EXPECT_EQ(b.Receive(), "y");
  b.Send('z', 0, foreign);
  EXPECT_EQ(a.Receive(), "z");  // b is not checked
  json check = Conf();
  check["prevResult"] = added.json();
  EXPECT_EQ(Call("bridge", "CHECK", "a", check).output, "");
  EXPECT_EQ(Rules(), 4U);
  EXPECT_TRUE(Del("a", Conf()).ok() && Del("a", Conf()).ok());
  EXPECT_EQ(Rules(), 0U);
  ASSERT_TRUE(Add("a", Conf(false)).ok());
  EXPECT_FALSE(Call("bridge", "CHECK", "a", check).ok());
}

TEST_F(MacSpoofTest, GarbageCollectionKeepsValidAttachments) {
  json conf = Conf();
  conf["cniVersion"] = "1.1.0";
  for (const char* id : {"a", "b"}) {
    MakePod(id);
    ASSERT_TRUE(Add(id, conf).ok());
  }
  EXPECT_EQ(Rules(), 8U);
  conf["name"] = "others";
  conf["cni.dev/valid-attachments"] = json::array();
  EXPECT_TRUE(Call("bridge", "GC", "a", conf).ok());
  EXPECT_EQ(Rules(), 8U) << "another network's";
  conf["name"] = "pods";
  conf["cni.dev/valid-attachments"] = json::array({{{"containerID", "b"}, {"ifname", "eth0"}}});
  EXPECT_TRUE(Call("bridge", "GC", "a", conf).ok());
  EXPECT_EQ(Rules(), 4U);
  EXPECT_TRUE(Del("b", conf).ok());
  EXPECT_EQ(Rules(), 0U);
}

TEST_F(MacSpoofTest, AFailedAddLeavesNoRule) {
  MakePod("a");
  json conf = BridgeConf({{"macspoofchk", true}});
  conf["ipam"]["routes"] = {{{"dst", "10.99.0.0/16"}, {"gw", "10.77.0.1"}}};
  EXPECT_FALSE(Add("a", conf).ok());
  EXPECT_EQ(Rules(), 0U);
}

TEST_F(MacSpoofTest, TheReferenceAndWeDeleteEachOthersRules) {
  const std::string reference = std::string(kReference) + "/bridge";
  if (access(reference.c_str(), X_OK) != 0 || access("/usr/sbin/nft", X_OK) != 0)
    GTEST_SKIP() << "no " << reference << ", or no nft for it to run";
  const auto call = [&](const std::string& plugin, const std::string& command) {
    return Call(plugin, command, "a", Conf());
  };
  MakePod("a");
  const Outcome theirs = call(reference, "ADD");
  ASSERT_TRUE(theirs.ok()) << theirs.output;
  EXPECT_EQ(Rules(), 4U);
  EXPECT_TRUE(call("bridge", "DEL").ok());
  EXPECT_EQ(Rules(), 0U);
  ASSERT_TRUE(call("bridge", "ADD").ok());
  EXPECT_EQ(Rules(), 4U);
  EXPECT_TRUE(call(reference, "DEL").ok());
  EXPECT_EQ(Rules(), 0U);
}

}  // namespace
}  // namespace wherry::cni_test
