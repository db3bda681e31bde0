#include <optional>
#include <utility>

#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "test/integration/cni/node.h"
#include "test/integration/cni/wire.h"

// VLANs of the bridge plugin, seen on the wire. Not every kernel has them (CONFIG_BRIDGE_VLAN_FILTERING): where it has not, what
// is looked at is the refusal.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

bool KernelFiltersVlans() {
  auto socket = netlink::Socket::Open();
  EXPECT_TRUE(socket.ok());
  netlink::Batch batch;
  netlink::PutNewBridge(batch, "probe", netlink::RandomMac(), 0, /*filters_vlans=*/true);
  if (!socket->Exchange(batch).ok()) return false;
  netlink::Batch removal;
  netlink::PutDeleteLink(removal, "probe");
  EXPECT_TRUE(socket->Exchange(removal).ok());
  return true;
}

class BridgeVlanTest : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    if (!KernelFiltersVlans()) GTEST_SKIP() << "this kernel's bridges do not filter VLANs";
  }
  // Without addresses, so that the frames are all there is.
  static json Flat(const json& vlans = json::object()) {
    json conf = {{"cniVersion", "1.0.0"}, {"name", "pods"}, {"type", "bridge"}, {"bridge", "cni0"}};
    conf.merge_patch(vlans);
    return conf;
  }
  Wire MakeWire(const std::string& id, const json& conf) {
    MakePod(id);
    const Outcome added = Add(id, conf);
    EXPECT_TRUE(added.ok()) << added.output;
    json check = conf;
    check["prevResult"] = added.json();
    EXPECT_EQ(Call("bridge", "CHECK", id, check).output, "") << id;
    std::optional<Wire> out;
    InPod(id, [&] { out.emplace(); });
    return *std::move(out);
  }
};

TEST_F(BridgeVlanTest, PodsOfOneVlanSeeEachOtherAlone) {
  const Wire a = MakeWire("a", Flat({{"vlan", 100}})), b = MakeWire("b", Flat({{"vlan", 100}}));
  const Wire c = MakeWire("c", Flat({{"vlan", 200}})), d = MakeWire("d", Flat({{"vlan", 200}}));
  const Wire none = MakeWire("none", Flat()),
             stay = MakeWire("stay", Flat({{"vlan", 200}, {"preserveDefaultVlan", true}}));
  d.Send('y');
  EXPECT_EQ(c.Receive() + stay.Receive(), "yy");
  none.Send('z');
  EXPECT_EQ(stay.Receive(), "z");  // hears the default VLAN, and speaks in its own
  stay.Send('w');
  EXPECT_EQ(c.Receive() + d.Receive(), "ww");
  // Frames of one receiver arrive in order: had b been sent any of those above, it would come first.
  a.Send('x');
  EXPECT_EQ(b.Receive(), "x");
  b.Send('v');
  EXPECT_EQ(a.Receive(), "v");
}

TEST_F(BridgeVlanTest, ATrunkCarriesTags) {
  const Wire a = MakeWire("a", Flat({{"vlan", 100}})), b = MakeWire("b", Flat({{"vlan", 200}}));
  const Wire c = MakeWire("c", Flat({{"vlan", 300}})), one = MakeWire("one", Flat());
  const json trunk = json::parse(R"([{"id": 100}, {"minID": 199, "maxID": 201}])");
  const Wire open = MakeWire("open", Flat({{"vlanTrunk", trunk}}));
  const Wire native = MakeWire("native", Flat({{"vlan", 300}, {"vlanTrunk", trunk}}));
  c.Send('c');
  EXPECT_EQ(native.Receive(), "c");
  one.Send('1');
  EXPECT_EQ(open.Receive(), "1");
  a.Send('a');
  EXPECT_EQ(open.Receive() + native.Receive(), "a@100a@100");
  b.Send('b');
  EXPECT_EQ(open.Receive() + native.Receive(), "b@200b@200");
  native.Send('p', 300), native.Send('q', 200);
  EXPECT_EQ(c.Receive() + b.Receive() + open.Receive(), "pqq@200");
  native.Send('r', 100), native.Send('s');
  EXPECT_EQ(a.Receive() + c.Receive() + open.Receive(), "rsr@100");
  open.Send('t', 300), open.Send('u');  // the trunk has no VLAN 300
  EXPECT_EQ(one.Receive(), "u");
  native.Send('v');
  EXPECT_EQ(c.Receive(), "v");
}

TEST_F(BridgeVlanTest, TheGatewayIsInTheVlan) {
  const json conf = BridgeConf({{"vlan", 100}});
  MakePod("a"), MakePod("b");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  ASSERT_EQ(a.json()["interfaces"].size(), 4U) << a.output;
  EXPECT_EQ(a.json()["interfaces"][3]["name"], "cni0.100");
  EXPECT_EQ(a.json()["ips"][0]["interface"], 2);
  json check = conf;
  check["prevResult"] = a.json();
  EXPECT_EQ(Call("bridge", "CHECK", "a", check).output, "");
  const Server server(8080, "gateway");
  InPod("a", [] { EXPECT_EQ(Fetch("10.88.0.1", 8080) + Fetch("fd00:88::1", 8080), "gatewaygateway"); });
  ASSERT_TRUE(Add("b", conf).ok());
  InPod("b", [] { EXPECT_EQ(Fetch("10.88.0.1", 8080), "gateway"); });
  EXPECT_TRUE(Del("a", conf).ok() && Del("b", conf).ok());
  EXPECT_EQ(Links("veth").size(), 2U);  // the gateway's pair stays with the bridge
  InPod("a", [&] { EXPECT_TRUE(Links("veth").empty()); });
}

TEST_F(BridgeVlanTest, AForeignInterfaceIsNotTakenForTheGateway) {
  auto socket = netlink::Socket::Open();
  netlink::Batch batch;
  netlink::PutNewBridge(batch, "cni0.100", netlink::RandomMac(), 0, false);
  ASSERT_TRUE(socket->Exchange(batch).ok());
  MakePod("a");
  EXPECT_EQ(Add("a", BridgeConf({{"vlan", 100}})).code(), 7);
  EXPECT_TRUE(Links("veth").empty() && Leases().empty());
}

TEST_F(BridgeVlanTest, CheckSeesALostVlan) {
  const json conf = Flat({{"vlan", 100}});
  MakePod("a");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  json check = Flat({{"vlan", 101}});
  check["prevResult"] = a.json();
  EXPECT_NE(Call("bridge", "CHECK", "a", check).output.find("not in VLAN 101"), std::string::npos);
}

class NoVlanTest : public Node {};

TEST_F(NoVlanTest, AKernelWithoutThemIsNamed) {
  if (KernelFiltersVlans()) GTEST_SKIP() << "this kernel's bridges filter VLANs";
  MakePod("a");
  for (const bool bridge_exists : {false, true}) {
    const Outcome a = Add("a", BridgeConf({{"vlan", 100}}));
    EXPECT_FALSE(a.ok()) << bridge_exists;
    EXPECT_NE(a.output.find("CONFIG_BRIDGE_VLAN_FILTERING"), std::string::npos) << a.output;
    EXPECT_TRUE(Links("veth").empty() && Leases().empty());
    ASSERT_TRUE(Add("a", BridgeConf()).ok());
    ASSERT_TRUE(Del("a", BridgeConf()).ok());
  }
}

}  // namespace
}  // namespace wherry::cni_test
