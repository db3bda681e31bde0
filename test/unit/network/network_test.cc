// The chain, with plugins that are scripts: who is called with what, in which order, and what is left after a failure.

#include "cri/network/network.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "test/unit/network/fixture.h"

namespace wherry::network {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Writes down each call as "TYPE COMMAND" and its input, and answers ADD with two addresses.
constexpr char kWell[] = R"(
type=$(basename "$0")
echo "$type $CNI_COMMAND" >> $here/calls
env | grep -E '^CNI_(NETNS|ARGS|IFNAME)=' > $here/env.$type.$CNI_COMMAND
cat > $here/input.$type.$CNI_COMMAND
[ $CNI_COMMAND = ADD ] || exit 0
cat <<END
{"cniVersion": "1.0.0", "by": "$type",
 "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/ns"}, {"name": "net1", "sandbox": "/ns"}],
 "ips": [{"address": "192.168.0.1/24", "interface": 0}, {"address": "fd00::2/64", "interface": 1},
         {"address": "10.0.0.2/24", "interface": 1}, {"address": "172.16.0.2/24", "interface": 2}]}
END
)";

class NetworkTest : public Scratch {
 protected:
  NetworkTest() {
    Plugin("first", kWell);
    Plugin("second", kWell);
    Configure(R"({"type":"first","mtu":1400},{"type":"second","capabilities":{"portMappings":true}})");
    pod_.pod_id = kId;
    pod_.netns_path = "/proc/self/ns/net";
    pod_.name = "web";
    pod_.uid = "u1";
    pod_.k8s_namespace = "default";
    pod_.port_mappings = {{"tcp", 80, 8080, ""}};
    Open(60);
  }
  void Open(int timeout_seconds, int max_networks = 1) {
    auto opened = Network::Create(
        {dir_ + "/net.d", dir_ + "/cache", {dir_ + "/bin"}, timeout_seconds, 0, max_networks, dir_ + "/pod-cidr"});
    ASSERT_TRUE(opened.ok());
    network_ = std::move(*opened);
  }
  void Configure(const std::string& plugins, const std::string& version = "1.0.0", const std::string& name = "pods") {
    Write("net.d/10-pods.conflist",
          R"({"cniVersion":")" + version + R"(","name":")" + name + R"(","plugins":[)" + plugins + "]}");
  }
  json Input(const std::string& call) const { return json::parse(Read("input." + call), nullptr, false); }

  PodNetwork pod_;
  std::unique_ptr<Network> network_;
};

TEST_F(NetworkTest, AddWalksTheChainAndRemoveWalksItBack) {
  auto added = network_->Add(pod_);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\n");
  EXPECT_EQ(Entries("cache/results"), 1U);
  ASSERT_TRUE(network_->Remove(pod_).ok());
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\nsecond DEL\nfirst DEL\n");
  EXPECT_EQ(Entries("cache/results"), 0U);
  ASSERT_TRUE(network_->Remove(pod_).ok());
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\nsecond DEL\nfirst DEL\n") << "nothing is left to do";
}

TEST_F(NetworkTest, CheckWalksTheChainWithWhatAddGave) {
  EXPECT_TRUE(network_->Check(kId).ok()) << "no trace of it";
  ASSERT_TRUE(network_->Add(pod_).ok());
  ASSERT_TRUE(network_->Check(kId).ok());
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\nfirst CHECK\nsecond CHECK\n");
  EXPECT_EQ(Input("first.CHECK")["prevResult"]["by"], "second");
  EXPECT_EQ(Input("second.CHECK")["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
  Plugin("second", R"(echo '{"cniVersion":"1.0.0","code":999,"msg":"eth0 is gone"}'; echo why >&2; exit 1)");
  EXPECT_THAT(std::string(network_->Check(kId).message()), AllOf(HasSubstr("eth0 is gone"), HasSubstr("why")));
}

TEST_F(NetworkTest, DisableCheckAndOldVersionsAreNotChecked) {
  Write("net.d/10-pods.conflist",
        R"({"cniVersion":"1.0.0","name":"pods","disableCheck":true,"plugins":[{"type":"first"}]})");
  ASSERT_TRUE(network_->Add(pod_).ok());
  ASSERT_TRUE(network_->Check(kId).ok());
  ASSERT_TRUE(network_->Remove(pod_).ok());
  Configure(R"({"type":"first"})", "0.3.1");
  ASSERT_TRUE(network_->Add(pod_).ok());
  ASSERT_TRUE(network_->Check(kId).ok());
  EXPECT_EQ(Read("calls"), "first ADD\nfirst DEL\nfirst ADD\n");
}

TEST_F(NetworkTest, SeveralNetworksGetInterfacesOfTheirOwn) {
  Write("net.d/20-more.conflist", R"({"cniVersion":"1.0.0","name":"more","plugins":[{"type":"third"}]})");
  Write("net.d/30-unused.conflist", R"({"cniVersion":"1.0.0","name":"unused","plugins":[{"type":"fourth"}]})");
  Plugin("third", kWell);
  Open(60, 2);
  auto added = network_->Add(pod_);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_THAT(added->ips, ElementsAre("fd00::2", "10.0.0.2")) << "those of eth0";
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\nthird ADD\n");
  EXPECT_THAT(Read("env.third.ADD"), HasSubstr("CNI_IFNAME=eth1\n"));
  EXPECT_TRUE(Exists("cache/results/more-" + std::string(kId) + "-eth1"));
  ASSERT_TRUE(network_->Remove(pod_).ok());
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\nthird ADD\nthird DEL\nsecond DEL\nfirst DEL\n");
  EXPECT_EQ(Entries("cache/results"), 0U);
}

TEST_F(NetworkTest, AFailureInOneNetworkTakesThePodOutOfAll) {
  Write("net.d/20-more.conflist", R"({"cniVersion":"1.0.0","name":"more","plugins":[{"type":"third"}]})");
  Plugin("third", "echo \"third $CNI_COMMAND\" >> $here/calls; [ $CNI_COMMAND != ADD ]");
  Open(60, 2);
  EXPECT_FALSE(network_->Add(pod_).ok());
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\nthird ADD\nthird DEL\nsecond DEL\nfirst DEL\n");
  EXPECT_EQ(Entries("cache/results"), 0U);
}

// The kubelet tells the node's CIDR once; the next daemon must know it.
TEST_F(NetworkTest, PodCidrsReachPluginsThatTakeRangesAlsoAfterARestart) {
  Configure(R"({"type":"first","capabilities":{"ipRanges":true}})");
  EXPECT_TRUE(absl::IsInvalidArgument(network_->SetPodCidrs("10.1.0.0")));
  ASSERT_TRUE(network_->SetPodCidrs("10.1.0.0/24,fd00:1::/64").ok());
  Open(60);
  ASSERT_TRUE(network_->Add(pod_).ok());
  EXPECT_EQ(Input("first.ADD")["runtimeConfig"]["ipRanges"],
            json::parse(R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]])"));
}

// No plugin waits for another's STATUS: each waits here until both have been asked.
TEST_F(NetworkTest, StatusIsAskedOfAllAtOnce) {
  for (const char* name : {"first", "second"})
    Plugin(name, "echo x >> $here/asked; while [ $(wc -l < $here/asked) -lt 2 ]; do sleep 0.01; done");
  Configure(R"({"type":"first"},{"type":"second"})", "1.1.0");
  while (!network_->Ready().ready) std::this_thread::yield();  // the time limit of the program is the test's
}

TEST_F(NetworkTest, AddressesOfEth0InThePluginsOrder) {
  auto added = network_->Add(pod_);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_THAT(added->ips, ElementsAre("fd00::2", "10.0.0.2"));
}

TEST_F(NetworkTest, APodWithoutAddressIsAFailure) {
  Plugin("second", "[ $CNI_COMMAND != ADD ] || echo '{\"cniVersion\":\"1.0.0\"}'");
  auto added = network_->Add(pod_);
  EXPECT_THAT(std::string(added.status().message()), HasSubstr("no address"));
  EXPECT_EQ(Entries("cache/results"), 0U);
}

TEST_F(NetworkTest, InputsHaveResultsRuntimeConfigAndArguments) {
  ASSERT_TRUE(network_->Add(pod_).ok());
  EXPECT_FALSE(Input("first.ADD").contains("prevResult"));
  EXPECT_FALSE(Input("first.ADD").contains("runtimeConfig"));
  EXPECT_EQ(Input("first.ADD")["mtu"], 1400);
  EXPECT_EQ(Input("second.ADD")["prevResult"]["by"], "first");
  EXPECT_EQ(Input("second.ADD")["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
  EXPECT_THAT(Read("env.first.ADD"),
              HasSubstr("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=" +
                        std::string(kId) + ";K8S_POD_UID=u1\n"));
  ASSERT_TRUE(network_->Remove(pod_).ok());
  EXPECT_EQ(Input("first.DEL")["prevResult"]["by"], "second");
  EXPECT_THAT(Read("env.first.DEL"), HasSubstr("CNI_NETNS=/proc/self/ns/net\n"));
}

TEST_F(NetworkTest, DelUsesWhatAddUsedWhateverHasChanged) {
  ASSERT_TRUE(network_->Add(pod_).ok());
  Configure(R"({"type":"first","mtu":9000})", "1.0.0", "others");
  Open(60);  // another wherryd, which knows the pod's id only
  PodNetwork id_only;
  id_only.pod_id = kId;
  ASSERT_TRUE(network_->Remove(id_only).ok());
  EXPECT_EQ(Input("first.DEL")["mtu"], 1400);
  EXPECT_EQ(Input("first.DEL")["name"], "pods");
  EXPECT_EQ(Input("second.DEL")["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
  EXPECT_THAT(Read("env.first.DEL"), HasSubstr("K8S_POD_NAME=web"));
}

TEST_F(NetworkTest, BeforeVersion040DelHasNoPreviousResult) {
  Configure(R"({"type":"first"})", "0.3.1");
  Plugin("first", std::string(kWell) + "true");
  ASSERT_TRUE(network_->Add(pod_).ok());
  ASSERT_TRUE(network_->Remove(pod_).ok());
  EXPECT_FALSE(Input("first.DEL").contains("prevResult"));
}

TEST_F(NetworkTest, AFailedAddIsUndoneAlongTheWholeChain) {
  Plugin("second", R"(echo "second $CNI_COMMAND" >> $here/calls; [ $CNI_COMMAND = ADD ] || exit 0
                      echo '{"code":100,"msg":"no route"}'; exit 1)");
  auto added = network_->Add(pod_);
  EXPECT_THAT(std::string(added.status().message()), AllOf(HasSubstr("\"second\""), HasSubstr("no route")));
  EXPECT_EQ(Read("calls"), "first ADD\nsecond ADD\nsecond DEL\nfirst DEL\n");
  EXPECT_EQ(Entries("cache/results"), 0U);
}

TEST_F(NetworkTest, AFailedDelIsToldAndTriedAgainByTheNextRemove) {
  ASSERT_TRUE(network_->Add(pod_).ok());
  Plugin("second", R"(echo "second $CNI_COMMAND" >> $here/calls; echo '{"code":5,"msg":"busy"}'; exit 1)");
  absl::Status removed = network_->Remove(pod_);
  EXPECT_THAT(std::string(removed.message()), AllOf(HasSubstr("\"second\""), HasSubstr("busy")));
  EXPECT_THAT(Read("calls"), HasSubstr("first DEL")) << "the others are asked all the same";
  EXPECT_EQ(Entries("cache/results"), 1U);
  Plugin("second", kWell);
  EXPECT_TRUE(network_->Remove(pod_).ok());
  EXPECT_EQ(Entries("cache/results"), 0U);
}

TEST_F(NetworkTest, GarbageFromAPluginIsAFailureOfItsNetwork) {
  for (const char* garbage : {"hello", "", "[]", R"({"ips":[{"address":"nonsense"}]})",
                              R"({"cniVersion":"1.0.0","ips":7})", R"({"cniVersion":"7.0.0"})"}) {
    Write("garbage", garbage);
    for (const char* speaker : {"first", "second"}) {
      Plugin(speaker, "cat >/dev/null; [ $CNI_COMMAND != ADD ] || cat $here/garbage");
      auto added = network_->Add(pod_);
      Plugin(speaker, kWell);
      EXPECT_TRUE(absl::IsInternal(added.status())) << speaker << " " << garbage << ": " << added.status();
      EXPECT_EQ(Entries("cache/results"), 0U);
    }
  }
}

TEST_F(NetworkTest, ANamespaceThatIsGoneIsAnEmptyVariable) {
  Write("plain", "");  // what is left of a pin whose mount is lost
  for (const std::string& path : {dir_ + "/nothing", dir_ + "/plain"}) {
    pod_.netns_path = "/proc/self/ns/net";
    ASSERT_TRUE(network_->Add(pod_).ok());
    pod_.netns_path = path;
    ASSERT_TRUE(network_->Remove(pod_).ok());
    EXPECT_THAT(Read("env.first.DEL"), HasSubstr("CNI_NETNS=\n")) << path;
  }
}

// The specification has DEL end well when its parts are gone, so the present configuration does no harm.
TEST_F(NetworkTest, ADamagedCacheEntryIsDeletedWithThePresentConfiguration) {
  ASSERT_TRUE(network_->Add(pod_).ok());
  Write("cache/results/pods-" + std::string(kId) + "-eth0", "");
  ASSERT_TRUE(network_->Remove(pod_).ok());
  EXPECT_THAT(Read("calls"), HasSubstr("second DEL\nfirst DEL\n"));
  EXPECT_EQ(Entries("cache/results"), 0U);
}

TEST_F(NetworkTest, AHangingPluginOfAChainLeavesTheOthersTheirTurn) {
  ASSERT_TRUE(network_->Add(pod_).ok());
  Open(2);
  Plugin("second", "echo \"second $CNI_COMMAND\" >> $here/calls; exec sleep 1000");
  absl::Status removed = network_->Remove(pod_);
  EXPECT_TRUE(absl::IsDeadlineExceeded(removed)) << removed;
  EXPECT_THAT(Read("calls"), HasSubstr("second DEL\nfirst DEL\n"));
}

TEST_F(NetworkTest, ReadinessNamesWhatIsMissing) {
  EXPECT_TRUE(network_->Ready().ready);
  std::filesystem::remove(dir_ + "/bin/second");
  Readiness readiness = network_->Ready();
  EXPECT_FALSE(readiness.ready);
  EXPECT_EQ(readiness.reason, "NetworkPluginNotReady");
  EXPECT_THAT(readiness.message, HasSubstr("\"second\""));
  auto added = network_->Add(pod_);
  EXPECT_TRUE(absl::IsFailedPrecondition(added.status()));
  EXPECT_EQ(Read("calls"), "") << "nothing was begun";
  std::filesystem::remove(dir_ + "/net.d/10-pods.conflist");
  EXPECT_THAT(network_->Ready().message, HasSubstr(dir_ + "/net.d"));
  EXPECT_TRUE(network_->Remove(pod_).ok());
}

TEST_F(NetworkTest, PluginsOf110SayWhetherTheyAreReady) {
  EXPECT_TRUE(network_->Ready().ready);
  EXPECT_EQ(Read("calls"), "") << "before 1.1.0 there is no STATUS";
  Configure(R"({"type":"first"},{"type":"second"})", "1.1.0");
  while (!network_->Ready().ready) std::this_thread::yield();
  EXPECT_THAT(Read("calls"), AllOf(HasSubstr("first STATUS\n"), HasSubstr("second STATUS\n")));
  Plugin("second", R"(echo '{"cniVersion":"1.1.0","code":50,"msg":"no address is free"}'; exit 1)");
  Readiness readiness;
  do readiness = network_->Ready();
  while (readiness.ready);
  EXPECT_EQ(readiness.reason, "NetworkPluginNotReady");
  EXPECT_THAT(readiness.message, AllOf(HasSubstr("\"second\""), HasSubstr("no address is free")));
}

TEST_F(NetworkTest, NobodyWaitsForAPluginThatIsSlowToSayItsStatus) {
  Plugin("second", "while [ ! -e $here/go ]; do sleep 0.01; done");
  Configure(R"({"type":"first"},{"type":"second"})", "1.1.0");
  for (int i = 0; i < 3; ++i) EXPECT_THAT(network_->Ready().message, HasSubstr("being asked for their STATUS"));
  Write("go", "");
  while (!network_->Ready().ready) std::this_thread::yield();
}

TEST_F(NetworkTest, CollectTellsWhatIsAttached) {
  EXPECT_TRUE(network_->Collect().ok());
  EXPECT_EQ(Read("calls"), "") << "before 1.1.0 there is no GC";
  Configure(R"({"type":"first"},{"type":"second"})", "1.1.0");
  ASSERT_TRUE(network_->Add(pod_).ok());
  // Another runtime's container in the same network, and one of a network whose name begins alike.
  Write("cache/results/pods-other-net1",
        R"({"kind":"cniCacheV1","networkName":"pods","containerId":"other","ifName":"net1"})");
  Write("cache/results/pods-2-c-eth0",
        R"({"kind":"cniCacheV1","networkName":"pods-2","containerId":"c","ifName":"eth0"})");
  ASSERT_TRUE(network_->Collect().ok());
  EXPECT_THAT(Read("calls"), AllOf(HasSubstr("first GC\n"), HasSubstr("second GC\n")));
  const json valid = Input("second.GC")["cni.dev/valid-attachments"];
  EXPECT_THAT(valid, testing::UnorderedElementsAre(json({{"containerID", kId}, {"ifname", "eth0"}}),
                                                   json({{"containerID", "other"}, {"ifname", "net1"}})));
  Write("calls", "");
  Write("cache/results/pods-third-eth0", "");
  EXPECT_TRUE(absl::IsDataLoss(network_->Collect())) << "whose it is, nobody knows";
  EXPECT_EQ(Read("calls"), "");
  std::filesystem::remove(dir_ + "/cache/results/pods-third-eth0");
  Write("net.d/10-pods.conflist",
        R"({"cniVersion":"1.1.0","name":"pods","disableGC":true,"plugins":[{"type":"first"}]})");
  EXPECT_TRUE(network_->Collect().ok());
  EXPECT_EQ(Read("calls"), "");
}

// Plugin `first`, which takes its time for `command`: until there is a file "go".
std::string Slow(const std::string& command) {
  return "[ $CNI_COMMAND != " + command + R"( ] || {
  echo "begins" >> $here/calls; while [ ! -e $here/go ]; do sleep 0.01; done; echo "ends" >> $here/calls; }
)" + kWell;
}

TEST_F(NetworkTest, NoAddOrRemoveRunsDuringTheCollectionAtStart) {
  Configure(R"({"type":"first"})", "1.1.0");
  ASSERT_TRUE(network_->Add(pod_).ok());
  Plugin("first", Slow("GC"));
  Write("calls", "");
  network_->LookAfterAll(dir_ + "/netns");
  PodNetwork other = pod_;
  other.pod_id = std::string(64, 'b');
  std::thread adding([&] { EXPECT_TRUE(network_->Add(other).ok()); });
  std::thread removing([&] { EXPECT_TRUE(network_->Remove(pod_).ok()); });
  while (Read("calls").find("begins\n") == std::string::npos) std::this_thread::yield();
  Write("go", "");
  adding.join();
  removing.join();
  EXPECT_THAT(Read("calls"), testing::StartsWith("begins\nends\nfirst GC\n"));
}

TEST_F(NetworkTest, TheCollectionAtStartWaitsForWhatHasBegun) {
  Configure(R"({"type":"first"})", "1.1.0");
  Plugin("first", Slow("ADD"));
  std::thread adding([&] { EXPECT_TRUE(network_->Add(pod_).ok()); });
  while (Read("calls") != "begins\n") std::this_thread::yield();
  network_->LookAfterAll(dir_ + "/netns");
  Write("go", "");
  adding.join();
  EXPECT_TRUE(network_->Remove(pod_).ok());
  EXPECT_EQ(Read("calls"), "begins\nends\nfirst ADD\nfirst GC\nfirst DEL\n");
}

TEST_F(NetworkTest, AttachedPodsAreKnownByTheirNamespace) {
  pod_.netns_path = "/run/x/netns/" + std::string(kId);
  ASSERT_TRUE(network_->Add(pod_).ok());
  EXPECT_THAT(network_->Attached("/run/x/netns"), ElementsAre(kId));
  EXPECT_TRUE(network_->Attached("/run/y/netns").empty());
}

}  // namespace
}  // namespace wherry::network
