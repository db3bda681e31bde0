#include <unistd.h>

#include "cni/netlink/link.h"
#include "cni/netlink/socket.h"
#include "test/integration/cni/node.h"

// ptp: containers that reach each other through the host alone.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

class PtpTest : public Node {
 protected:
  json Conf(const json& more = json::object()) const {
    json conf = BridgeConf({{"type", "ptp"}, {"ipam", {{"routes", {{{"dst", "0.0.0.0/0"}}, {{"dst", "::/0"}}}}}}});
    conf.erase("bridge"), conf.erase("isDefaultGateway");
    conf.merge_patch(more);
    return conf;
  }
  json With(json conf, const Outcome& added) const {
    conf["prevResult"] = added.json();
    return conf;
  }
  Outcome Ptp(const std::string& command, const std::string& id, const json& conf) {
    return Call("ptp", command, id, conf);
  }
};

TEST_F(PtpTest, PodsReachTheHostAndEachOtherByIt) {
  MakePod("a"), MakePod("b");
  const json conf = Conf({{"mtu", 1400}, {"dns", {{"domain", "x"}}}});
  const Outcome a = Ptp("ADD", "a", conf), b = Ptp("ADD", "b", conf);
  ASSERT_TRUE(a.ok() && b.ok()) << a.output << b.output;
  EXPECT_EQ(a.json()["interfaces"].size(), 2U);
  EXPECT_EQ(a.json()["ips"][0]["interface"], 1);
  EXPECT_EQ(a.json()["dns"]["domain"], "x");
  InPod("a", [&] {
    const Server server(80, "");  // answers with the caller's address
    InPod("b", [&] {
      EXPECT_EQ(Fetch(AddressOf(a), 80), AddressOf(b));
      EXPECT_EQ(Fetch(AddressOf(a, 1), 80), AddressOf(b, 1));
      auto socket = netlink::Socket::Open();
      EXPECT_EQ(netlink::GetLink(*socket, "eth0")->mtu, 1400U);
    });
  });
  InPod("b", [&] {
    const Server server(80, "b");
    InPod("a", [&] { EXPECT_EQ(Fetch(AddressOf(b), 80), "b"); });
  });
  const Server server(80, "host");
  InPod("a", [] { EXPECT_EQ(Fetch("10.88.0.1", 80) + Fetch("fd00:88::1", 80), "hosthost"); });
  EXPECT_EQ(Ptp("CHECK", "a", With(conf, a)).output, "");
  EXPECT_TRUE(Ptp("DEL", "a", conf).ok() && Ptp("DEL", "a", conf).ok());
  EXPECT_EQ(Links("veth").size(), 1U);
  EXPECT_EQ(Leases().size(), 2U);
  RemovePod("b");
  EXPECT_TRUE(Ptp("DEL", "b", conf).ok());
  EXPECT_TRUE(Leases().empty());
}

// As for a fresh bridge.
TEST_F(PtpTest, TheHostForwardsToItAtOnce) {
  MakePod("a");
  const Outcome a = Ptp("ADD", "a", Conf());
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_EQ(SolicitationsUntilUsable(a.json()["interfaces"][0]["name"]), 0);
}

TEST_F(PtpTest, ItsResultIsTheReferencesAndEitherUndoesTheOther) {
  const std::string reference = std::string(kReference) + "/ptp";
  if (access(reference.c_str(), X_OK) != 0) GTEST_SKIP() << "no " << reference;
  const auto comparable = [](const Outcome& outcome) {
    json out = outcome.json();
    for (json& interface : out["interfaces"]) interface.erase("mac"), interface.erase("name");
    return out;
  };
  MakePod("a");
  const json conf = Conf();
  const Outcome theirs = Call(reference, "ADD", "a", conf);
  ASSERT_TRUE(theirs.ok()) << theirs.output;
  EXPECT_EQ(Ptp("CHECK", "a", With(conf, theirs)).output, "");
  EXPECT_TRUE(Ptp("DEL", "a", conf).ok());
  std::filesystem::remove_all(root_ / "leases");
  const Outcome ours = Ptp("ADD", "a", conf);
  ASSERT_TRUE(ours.ok()) << ours.output;
  EXPECT_EQ(comparable(ours), comparable(theirs));
  EXPECT_EQ(Call(reference, "CHECK", "a", With(conf, ours)).output, "");
  EXPECT_TRUE(Call(reference, "DEL", "a", conf).ok());
  EXPECT_TRUE(Links("veth").empty() && Leases().empty());
}

TEST_F(PtpTest, MasqueradesAndCollects) {
  MakePod("a");
  json conf = Conf({{"ipMasq", true}, {"cniVersion", "1.1.0"}});
  const Outcome a = Ptp("ADD", "a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_EQ(Ptp("CHECK", "a", With(conf, a)).output, "");
  EXPECT_EQ(Ptp("STATUS", "a", conf).output, "");
  conf["cni.dev/valid-attachments"] = json::array();
  EXPECT_EQ(Ptp("GC", "a", conf).output, "");
  EXPECT_TRUE(Leases().empty());
  json check = With(conf, a);
  check["ipam"] = {{"type", "static"}};
  EXPECT_NE(Ptp("CHECK", "a", check).output.find("cni_plugins_masquerade"), std::string::npos);
  EXPECT_TRUE(Ptp("DEL", "a", conf).ok());
}

TEST_F(PtpTest, AFailedAddLeavesNothing) {
  MakePod("a");
  json conf = Conf();
  conf["ipam"]["routes"] = {{{"dst", "10.99.0.0/16"}, {"gw", "10.77.0.1"}}};  // out of nobody's reach
  EXPECT_FALSE(Ptp("ADD", "a", conf).ok());
  EXPECT_TRUE(Links("veth").empty() && Leases().empty());
  conf["ipam"] = {{"type", "static"}, {"addresses", {{{"address", "10.77.0.9/24"}}}}};
  EXPECT_EQ(Ptp("ADD", "a", conf).code(), 7);  // no gateway
  EXPECT_EQ(Ptp("ADD", "a", Conf({{"ipMasq", true}, {"ipMasqBackend", "ipchains"}})).code(), 2);
  EXPECT_EQ(Ptp("ADD", "a", Conf({{"ipam", {{"type", "../x"}}}})).code(), 7);
  EXPECT_TRUE(Links("veth").empty() && Leases().empty());
  ASSERT_TRUE(Ptp("ADD", "a", Conf()).ok());
  EXPECT_EQ(Ptp("ADD", "a", Conf()).code(), 7);  // host-local: has an address already
  EXPECT_EQ(Links("veth").size(), 1U);
}

}  // namespace
}  // namespace wherry::cni_test
