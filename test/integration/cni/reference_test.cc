#include <unistd.h>

#include "test/integration/cni/node.h"

// Against the reference plugins as Debian ships them (package containernetworking-plugins): either must be able to stand in
// for the other, between any two calls.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

class ReferenceTest : public Node {
 protected:
  void SetUp() override {
    if (access(Reference("bridge").c_str(), X_OK) != 0)
      GTEST_SKIP() << "no reference plugins in " << kReference << " (apt-get install containernetworking-plugins)";
    Node::SetUp();
  }
  static std::string Reference(const std::string& plugin) { return std::string(kReference) + "/" + plugin; }

  // Without what is random or a question of taste.
  static json Comparable(const Outcome& outcome) {
    json out = outcome.json();
    for (json& interface : out["interfaces"]) {
      interface.erase("mac");
      if (!interface.contains("sandbox") && interface["name"] != "cni0") interface["name"] = "veth";
      interface["sandbox"] = interface.contains("sandbox") ? "pod" : "";
    }
    return out;
  }
};

TEST_F(ReferenceTest, ResultsAreTheSame) {
  for (const char* version : {"0.3.1", "0.4.0", "1.0.0"}) {
    json conf = BridgeConf({{"cniVersion", version}, {"ipam", {{"routes", {{{"dst", "10.99.0.0/16"}}}}}}});
    MakePod("a");
    const Outcome theirs = Call(Reference("bridge"), "ADD", "a", conf);
    ASSERT_TRUE(theirs.ok()) << theirs.output;
    ASSERT_TRUE(Call(Reference("bridge"), "DEL", "a", conf).ok());
    std::filesystem::remove_all(root_ / "leases");
    const Outcome ours = Add("a", conf);
    ASSERT_TRUE(ours.ok()) << ours.output;
    EXPECT_EQ(Comparable(ours), Comparable(theirs)) << version << ours.output << theirs.output;
    EXPECT_TRUE(Del("a", conf).ok());
    std::filesystem::remove_all(root_ / "leases");
    RemovePod("a");
  }
}

TEST_F(ReferenceTest, WhatOneAddsTheOtherChecksAndDeletes) {
  json conf = BridgeConf();
  MakePod("a"), MakePod("b");
  const Outcome ours = Add("a", conf), theirs = Call(Reference("bridge"), "ADD", "b", conf);
  ASSERT_TRUE(ours.ok()) << ours.output;
  ASSERT_TRUE(theirs.ok()) << theirs.output;
  EXPECT_EQ(Leases(), std::set<std::string>({"10.88.0.2", "10.88.0.3", "fd00:88::2", "fd00:88::3"}));
  conf["prevResult"] = ours.json();
  const Outcome check_ours = Call(Reference("bridge"), "CHECK", "a", conf);
  EXPECT_TRUE(check_ours.ok()) << check_ours.output;
  conf["prevResult"] = theirs.json();
  const Outcome check_theirs = Call("bridge", "CHECK", "b", conf);
  EXPECT_TRUE(check_theirs.ok()) << check_theirs.output;
  EXPECT_TRUE(Call(Reference("bridge"), "DEL", "a", conf).ok());
  EXPECT_TRUE(Del("b", conf).ok());
  EXPECT_TRUE(Leases().empty());
  EXPECT_TRUE(Links("veth").empty());
}

TEST_F(ReferenceTest, HostLocalLeasesAreInterchangeable) {
  const json conf = BridgeConf();
  ASSERT_EQ(AddressOf(Call("host-local", "ADD", "a", conf)), "10.88.0.2");
  ASSERT_EQ(AddressOf(Call(Reference("host-local"), "ADD", "b", conf)), "10.88.0.3");
  ASSERT_EQ(AddressOf(Call("host-local", "ADD", "c", conf)), "10.88.0.4");
  EXPECT_TRUE(Call(Reference("host-local"), "CHECK", "a", conf).ok());
  EXPECT_TRUE(Call("host-local", "CHECK", "b", conf).ok());
  EXPECT_FALSE(Call(Reference("host-local"), "ADD", "a", conf).ok()) << "a second address for one container";
  EXPECT_FALSE(Call("host-local", "ADD", "b", conf).ok());
  EXPECT_TRUE(Call(Reference("host-local"), "DEL", "a", conf).ok());
  EXPECT_TRUE(Call("host-local", "DEL", "b", conf).ok());
  EXPECT_EQ(Leases(), std::set<std::string>({"10.88.0.4", "fd00:88::4"}));
  EXPECT_EQ(AddressOf(Call(Reference("host-local"), "ADD", "d", conf)), "10.88.0.5");
}

TEST_F(ReferenceTest, OurBridgeRunsTheirIpam) {
  json conf = BridgeConf();
  conf["ipam"] = {{"type", "static"}, {"addresses", {{{"address", "10.88.0.9/24"}, {"gateway", "10.88.0.1"}}}}};
  MakePod("a");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_EQ(AddressOf(a), "10.88.0.9");
  EXPECT_TRUE(Del("a", conf).ok());
}

}  // namespace
}  // namespace wherry::cni_test
