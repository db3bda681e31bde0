#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "cni/netlink/address.h"
#include "cni/netlink/route.h"
#include "runtime/sys/file.h"
#include "test/integration/cni/node.h"

namespace wherry::cni_test {
namespace {

using nlohmann::json;

class BridgeTest : public Node {};

TEST_F(BridgeTest, TwoPodsReachEachOtherAndTheGateway) {
  const json conf = BridgeConf();
  MakePod("a"), MakePod("b");
  const Outcome a = Add("a", conf), b = Add("b", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  ASSERT_TRUE(b.ok()) << b.output;
  Server node(80, "node");
  std::unique_ptr<Server> server_a, server_b;
  InPod("a", [&] { server_a = std::make_unique<Server>(80, "a"); });
  InPod("b", [&] { server_b = std::make_unique<Server>(80, "b"); });
  for (size_t family : {0, 1}) {
    InPod("a", [&] { EXPECT_EQ(Fetch(AddressOf(b, family), 80), "b") << AddressOf(b, family); });
    InPod("b", [&] { EXPECT_EQ(Fetch(AddressOf(a, family), 80), "a") << AddressOf(a, family); });
    InPod("a", [&] { EXPECT_EQ(Fetch(a.json()["ips"][family]["gateway"], 80), "node"); });
    EXPECT_EQ(Fetch(AddressOf(b, family), 80), "b");
  }
}

TEST_F(BridgeTest, AddressesAreUsableAtOnce) {
  MakePod("a");
  const Outcome a = Add("a", BridgeConf());
  const bool gateway = CanBind("fd00:88::1");
  bool inside = false;
  InPod("a", [&] { inside = CanBind("fd00:88::2"); });
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_TRUE(gateway);
  EXPECT_TRUE(inside);
}

// The kernel solicits nobody from a tentative address, so that nothing would be forwarded to a pod that has not yet spoken.
TEST_F(BridgeTest, AFreshBridgeForwardsAtOnce) {
  MakePod("a");
  const Outcome a = Add("a", BridgeConf());
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_EQ(SolicitationsUntilUsable("cni0"), 0);
}

TEST_F(BridgeTest, ResultSaysWhatTheKernelHas) {
  MakePod("a");
  const Outcome a = Add("a", BridgeConf({{"mtu", 1400}, {"runtimeConfig", {{"mac", "02:00:00:00:00:07"}}}}));
  ASSERT_TRUE(a.ok()) << a.output;
  const json interfaces = a.json()["interfaces"];
  ASSERT_EQ(interfaces.size(), 3U);
  auto host = netlink::Socket::Open();
  ASSERT_TRUE(host.ok());
  auto bridge = netlink::GetLink(*host, "cni0");
  auto port = netlink::GetLink(*host, std::string(interfaces[1]["name"]));
  ASSERT_TRUE(bridge.ok() && port.ok()) << a.output;
  EXPECT_EQ(interfaces[0]["mac"], bridge->mac);
  EXPECT_EQ(interfaces[1]["mac"], port->mac);
  EXPECT_EQ(port->master, bridge->index);
  EXPECT_EQ(bridge->accept_ra.value_or(0), 0);
  InPod("a", [&] {
    auto socket = netlink::Socket::Open();
    auto eth0 = netlink::GetLink(*socket, "eth0");
    ASSERT_TRUE(eth0.ok());
    EXPECT_EQ(eth0->mac, "02:00:00:00:00:07");
    EXPECT_EQ(eth0->mtu, 1400U);
    EXPECT_EQ(eth0->accept_ra.value_or(0), 0);
    EXPECT_TRUE(eth0->up());
  });
  EXPECT_EQ(interfaces[2], json({{"name", "eth0"}, {"mac", "02:00:00:00:00:07"}, {"sandbox", PodPath("a")}}));
  EXPECT_EQ(a.json()["ips"][0]["interface"], 2);
}

TEST_F(BridgeTest, TwentyAtOnceShareOneBridgeAndNoAddress) {
  constexpr int kPods = 20;
  const json conf = BridgeConf();
  for (int i = 0; i < kPods; ++i) MakePod("p" + std::to_string(i));
  const auto all = [&](const std::string& command) {
    std::vector<pid_t> children;
    for (int i = 0; i < kPods; ++i) {
      const std::string id = "p" + std::to_string(i);
      children.push_back(Start("bridge", conf.dump(), CallVariables(command, id), STDERR_FILENO));
    }
    for (pid_t child : children) {
      int status = -1;
      EXPECT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
  };
  all("ADD");
  EXPECT_EQ(Leases().size(), 2U * kPods);
  EXPECT_EQ(Links("veth").size(), static_cast<size_t>(kPods));
  EXPECT_EQ(Links("bridge"), std::vector<std::string>({"cni0"}));
  std::set<std::string> seen;
  for (int i = 0; i < kPods; ++i) {
    InPod("p" + std::to_string(i), [&] {
      auto socket = netlink::Socket::Open();
      auto eth0 = netlink::GetLink(*socket, "eth0");
      ASSERT_TRUE(eth0.ok()) << eth0.status();
      auto addresses = netlink::GetAddresses(*socket, eth0->index);
      ASSERT_TRUE(addresses.ok());
      for (const auto& address : *addresses) seen.insert(address.ToString());
    });
  }
  EXPECT_EQ(seen.size(), 3U * kPods);  // with a link-local one each
  all("DEL");
  EXPECT_TRUE(Leases().empty());
  EXPECT_TRUE(Links("veth").empty());
}

TEST_F(BridgeTest, DelBeforeTheEndOfTheNamespaceLeavesTheDeletionToIt) {
  MakePod("a");
  const auto conf = BridgeConf();
  ASSERT_TRUE(Add("a", conf).ok());
  Variables variables = CallVariables("DEL", "a");
  variables["WHERRY_NETNS_ENDS"] = "1";
  for (int i = 0; i < 2; ++i) {
    Outcome del = Run("bridge", conf.dump(), variables);
    EXPECT_TRUE(del.ok()) << del.output;
  }
  EXPECT_TRUE(Leases().empty());
  InPod("a", [] {
    auto socket = netlink::Socket::Open();
    ASSERT_TRUE(socket.ok());
    auto eth0 = netlink::GetLink(*socket, "eth0");
    ASSERT_TRUE(eth0.ok()) << eth0.status();
    EXPECT_FALSE(eth0->up()) << "nobody may answer for an address that is free";
  });
  EXPECT_EQ(Links("veth").size(), 1u);
  RemovePod("a");
  while (!Links("veth").empty()) std::this_thread::yield();  // the time limit of the program is the test's
}

TEST_F(BridgeTest, DelTwiceAndWithTheNamespaceGone) {
  const json conf = BridgeConf();
  MakePod("a"), MakePod("b"), MakePod("c");
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Add(id, conf).ok());
  EXPECT_TRUE(Del("a", conf).ok());
  EXPECT_TRUE(Del("a", conf).ok());
  RemovePod("b");
  EXPECT_TRUE(Del("b", conf).ok());
  // After a reboot the file is there and the namespace is not.
  RemovePod("c");
  std::ofstream(PodPath("c")).close();
  EXPECT_TRUE(Del("c", conf).ok());
  EXPECT_TRUE(Leases().empty());
  EXPECT_TRUE(Del("never-added", conf).ok());
}

TEST_F(BridgeTest, CheckSeesEachLoss) {
  json conf = BridgeConf({{"ipam", {{"routes", {{{"dst", "10.99.0.0/16"}}}}}}});
  MakePod("a");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_EQ(Call("bridge", "CHECK", "a", conf).code(), 7) << "without prevResult";
  conf["prevResult"] = a.json();
  const Outcome good = Call("bridge", "CHECK", "a", conf);
  ASSERT_TRUE(good.ok()) << good.output;
  const auto expect_loss = [&](const std::string& text) {
    const Outcome check = Call("bridge", "CHECK", "a", conf);
    EXPECT_FALSE(check.ok());
    EXPECT_NE(check.output.find(text), std::string::npos) << check.output;
  };
  InPod("a", [&] {
    auto socket = netlink::Socket::Open();
    auto eth0 = netlink::GetLink(*socket, "eth0");
    ASSERT_TRUE(eth0.ok());
    netlink::Batch batch;
    netlink::PutDeleteAddress(batch, eth0->index, cni::IpPrefix::Parse(a.json()["ips"][0]["address"]).value());
    ASSERT_TRUE(socket->Exchange(batch).ok());
  });
  expect_loss("10.88.0.2");
  std::filesystem::remove(root_ / "leases/pods/10.88.0.2");
  std::filesystem::remove(root_ / "leases/pods/fd00:88::2");
  expect_loss("holds no address");
}

TEST_F(BridgeTest, CheckSeesALostRouteAndALostPort) {
  json conf =
      BridgeConf({{"ipam", {{"ranges", {{{{"subnet", "10.88.0.0/24"}}}}}, {"routes", {{{"dst", "10.99.0.0/16"}}}}}}});
  MakePod("a");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  conf["prevResult"] = a.json();
  conf["prevResult"]["routes"].push_back({{"dst", "10.77.0.0/16"}});
  EXPECT_NE(Call("bridge", "CHECK", "a", conf).output.find("10.77.0.0/16"), std::string::npos);
  conf["prevResult"] = a.json();
  ASSERT_TRUE(Call("bridge", "CHECK", "a", conf).ok());
  auto host = netlink::Socket::Open();
  netlink::Batch batch;
  netlink::PutDeleteLink(batch, std::string(a.json()["interfaces"][1]["name"]));
  ASSERT_TRUE(host->Exchange(batch).ok());
  EXPECT_NE(Call("bridge", "CHECK", "a", conf).output.find("eth0 is missing"), std::string::npos);
}

TEST_F(BridgeTest, EnabledadFindsAnAddressThatIsInUse) {
  const json conf = BridgeConf(
      {{"enabledad", true}, {"ipam", {{"type", "static"}, {"addresses", {{{"address", "fd00:88::5/64"}}}}}}});
  MakePod("a"), MakePod("b");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  InPod("a", [] { EXPECT_TRUE(CanBind("fd00:88::5")) << "looked for, and usable"; });
  const Outcome b = Add("b", conf);
  EXPECT_EQ(b.code(), 999) << b.output;
  EXPECT_NE(b.output.find("fd00:88::5/64 is in use"), std::string::npos) << b.output;
  EXPECT_EQ(Links("veth").size(), 1U) << "that of the first";
}

TEST_F(BridgeTest, ADisabledContainerInterfaceStaysDown) {
  json conf = BridgeConf({{"disableContainerInterface", true}});
  conf.erase("ipam"), conf.erase("isDefaultGateway"), conf.erase("isGateway");
  MakePod("a");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  InPod("a", [] {
    auto socket = netlink::Socket::Open();
    const auto eth0 = netlink::GetLink(*socket, "eth0");
    ASSERT_TRUE(eth0.ok()) << eth0.status();
    EXPECT_FALSE(eth0->up());
  });
  EXPECT_TRUE(Del("a", conf).ok());
}

TEST_F(BridgeTest, LayerTwoHasNoAddress) {
  json conf = BridgeConf();
  conf.erase("ipam");
  MakePod("a");
  const Outcome a = Add("a", conf);
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_FALSE(a.json().contains("ips"));
  EXPECT_TRUE(Del("a", conf).ok());
  EXPECT_TRUE(Links("veth").empty());
}

TEST_F(BridgeTest, GarbageCollectionKeepsValidAttachments) {
  json conf = BridgeConf({{"cniVersion", "1.1.0"}});
  MakePod("a"), MakePod("b");
  ASSERT_TRUE(Add("a", conf).ok());
  ASSERT_TRUE(Add("b", conf).ok());
  EXPECT_TRUE(Call("bridge", "STATUS", "a", conf).ok());
  EXPECT_EQ(Call("bridge", "GC", "a", conf).code(), 7) << "without the list";
  conf["cni.dev/valid-attachments"] = json::array({{{"containerID", "b"}, {"ifname", "eth0"}}});
  EXPECT_TRUE(Call("bridge", "GC", "a", conf).ok());
  EXPECT_EQ(Leases(), std::set<std::string>({"10.88.0.3", "fd00:88::3"}));
}

}  // namespace
}  // namespace wherry::cni_test
