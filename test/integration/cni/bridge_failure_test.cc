#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "cni/netlink/address.h"
#include "runtime/sys/file.h"
#include "test/integration/cni/node.h"
#include "test/integration/cni/wire.h"

// What goes wrong must say so and leave nothing.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

class BridgeFailureTest : public Node {
 protected:
  void ExpectNothingLeft() {
    EXPECT_TRUE(Leases().empty());
    EXPECT_TRUE(Links("veth").empty());
  }
};

TEST_F(BridgeFailureTest, AFailureLateInAddIsUndone) {
  MakePod("a");
  const Outcome a = Add("a", BridgeConf({{"ipam", {{"routes", {{{"dst", "10.99.0.0/16"}, {"gw", "172.16.0.1"}}}}}}}));
  EXPECT_FALSE(a.ok());
  EXPECT_NE(a.output.find("10.99.0.0/16 via 172.16.0.1"), std::string::npos) << a.output;
  ExpectNothingLeft();
}

TEST_F(BridgeFailureTest, AnInterfaceOfThatNameIsAnError) {
  json first = BridgeConf(), second = BridgeConf({{"name", "other"}, {"bridge", "cni1"}});
  second["ipam"]["ranges"] = json::parse(R"([[{"subnet": "10.89.0.0/24"}]])");
  MakePod("a");
  ASSERT_TRUE(Add("a", first).ok());
  const Outcome again = Add("a", second);
  EXPECT_EQ(again.code(), 4) << again.output;
  EXPECT_TRUE(Leases("other").empty());
  EXPECT_EQ(Links("veth").size(), 1U);
  EXPECT_EQ(Add("a", first).code(), 7);
  EXPECT_EQ(Leases().size(), 2U);
}

TEST_F(BridgeFailureTest, OurOwnNamespaceIsRefused) {
  auto variables = CallVariables("ADD", "a");
  variables["CNI_NETNS"] = "/proc/self/ns/net";
  EXPECT_EQ(Run("bridge", BridgeConf().dump(), variables).code(), 4);
  variables["CNI_NETNS"] = "/proc/self/ns/mnt";
  EXPECT_EQ(Run("bridge", BridgeConf().dump(), variables).code(), 4);
  variables["CNI_NETNS"] = root_ / "nothing";
  EXPECT_EQ(Run("bridge", BridgeConf().dump(), variables).code(), 4);
  variables["CNI_COMMAND"] = "DEL";
  variables["CNI_NETNS"] = "/proc/self/ns/net";
  variables["CNI_IFNAME"] = "lo";
  EXPECT_EQ(Run("bridge", BridgeConf().dump(), variables).code(), 4);
  ExpectNothingLeft();
}

TEST_F(BridgeFailureTest, AForeignAddressOnTheBridgeNeedsForce) {
  json conf = BridgeConf();
  conf["ipam"]["ranges"] = json::parse(R"([[{"subnet": "10.88.0.0/24"}]])");
  MakePod("a"), MakePod("b");
  ASSERT_TRUE(Add("a", conf).ok());
  json other = conf;
  other["name"] = "other";
  other["ipam"]["ranges"] = json::parse(R"([[{"subnet": "10.89.0.0/24"}]])");
  const Outcome refused = Add("b", other);
  EXPECT_EQ(refused.code(), 7) << refused.output;
  EXPECT_TRUE(Leases("other").empty());
  other["forceAddress"] = true;
  ASSERT_TRUE(Add("b", other).ok());
  auto socket = netlink::Socket::Open();
  auto bridge = netlink::GetLink(*socket, "cni0");
  auto addresses = netlink::GetAddresses(*socket, bridge->index);
  ASSERT_TRUE(addresses.ok());
  std::set<std::string> v4;
  for (const auto& address : *addresses) {
    if (address.address.is_v4()) v4.insert(address.ToString());
  }
  EXPECT_EQ(v4, std::set<std::string>({"10.89.0.1/24"}));
}

TEST_F(BridgeFailureTest, ALinkThatIsNoBridgeIsRefused) {
  MakePod("a");
  EXPECT_EQ(Add("a", BridgeConf({{"bridge", "lo"}})).code(), 7);
  ExpectNothingLeft();
}

TEST_F(BridgeFailureTest, PortOptionsAreAsAsked) {
  MakePod("a"), MakePod("b");
  const Outcome a = Add("a", BridgeConf({{"hairpinMode", true}, {"portIsolation", true}})), b = Add("b", BridgeConf());
  ASSERT_TRUE(a.ok() && b.ok()) << a.output << b.output;
  const std::string sysfs = root_ / "sys";
  std::filesystem::create_directory(sysfs);
  ASSERT_EQ(mount("sysfs", sysfs.c_str(), "sysfs", 0, nullptr), 0);
  const auto option = [&](const Outcome& pod, const std::string& name) {
    const std::string port = pod.json()["interfaces"][1]["name"];
    return sys::ReadFileAt(AT_FDCWD, sysfs + "/class/net/" + port + "/brport/" + name).value_or("?");
  };
  EXPECT_EQ(option(a, "hairpin_mode") + option(a, "isolated"), "1\n1\n");
  EXPECT_EQ(option(b, "hairpin_mode") + option(b, "isolated"), "0\n0\n");
  EXPECT_EQ(umount2(sysfs.c_str(), MNT_DETACH), 0);
}

TEST_F(BridgeFailureTest, IsolatedPortsAreApartOnTheWire) {
  const auto wire = [&](const std::string& id, bool isolated) {
    MakePod(id);
    const Outcome added = Add(id, {{"cniVersion", "1.0.0"},
                                   {"name", "pods"},
                                   {"type", "bridge"},
                                   {"bridge", "cni0"},
                                   {"portIsolation", isolated}});
    EXPECT_TRUE(added.ok()) << added.output;
    std::optional<Wire> out;
    InPod(id, [&] { out.emplace(); });
    return *std::move(out);
  };
  const Wire a = wire("a", true), b = wire("b", true), open = wire("open", false);
  a.Send('x');
  EXPECT_EQ(open.Receive(), "x");
  open.Send('y');
  EXPECT_EQ(a.Receive(), "y");
  EXPECT_EQ(b.Receive(), "y") << "frames arrive in order: what an isolated port sends would have come first";
}

// Killed at any instant, an ADD is followed by a DEL that leaves nothing, and by an ADD that works.
TEST_F(BridgeFailureTest, KilledAnywhereItLeavesNothingBehindDel) {
  const json conf = BridgeConf();
  for (int i = 0; i < 40; ++i) {
    const std::string id = "p" + std::to_string(i);
    MakePod(id);
    sys::UniqueFd output(memfd_create("output", MFD_CLOEXEC));
    const pid_t pid = Start("bridge", conf.dump(), CallVariables("ADD", id), output.get());
    usleep(static_cast<useconds_t>(i) * 150);  // spreads the kills over the run; any of them may come late
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    const Outcome del = Del(id, conf);
    EXPECT_TRUE(del.ok()) << del.output;
    ExpectNothingLeft();
    const Outcome again = Add(id, conf);
    EXPECT_TRUE(again.ok()) << again.output;
    EXPECT_TRUE(Del(id, conf).ok());
    RemovePod(id);
  }
  ExpectNothingLeft();
}

}  // namespace
}  // namespace wherry::cni_test
