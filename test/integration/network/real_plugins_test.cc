// The caller with wherry's own plugins: a bridge in a network and mount namespace of the test's own. The plugins' failures
// are made of scripts in test/unit/network; here it is seen that what the caller says is what real plugins need.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cni/nft/table.h"
#include "cri/network/network.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::network {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kOwn[] = "/proc/thread-self/ns/net";

class RealPluginsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0U) << "this test needs root";
    home_.reset(open(kOwn, O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << strerror(errno);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << strerror(errno);
    ASSERT_EQ(mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), 0) << strerror(errno);
    fs::create_directories("/mnt/netns");
    fs::create_directories("/mnt/net.d");
    std::ofstream("/mnt/net.d/10-pods.conflist") << R"({"cniVersion":"1.0.0","name":"pods","plugins":[{
      "type":"bridge","bridge":"wnet0","isGateway":true,"ipam":{"type":"host-local","dataDir":"/mnt/ipam",
      "ranges":[[{"subnet":"10.77.0.0/24"}],[{"subnet":"fd00:77::/64"}]]}}]})";
    auto opened = Network::Create({"/mnt/net.d", "/mnt/cache", {WHERRY_CNI_DIR}, 60});
    ASSERT_TRUE(opened.ok());
    network_ = std::move(*opened);
    pod_.pod_id = std::string(64, 'a');
    pod_.netns_path = "/mnt/netns/" + pod_.pod_id;
    pod_.name = "web";
    pod_.uid = "u";
    pod_.k8s_namespace = "default";
    MakeNamespace();
  }
  void TearDown() override {
    umount2(pod_.netns_path.c_str(), MNT_DETACH);
    umount2("/mnt", MNT_DETACH);
    EXPECT_EQ(setns(home_.get(), CLONE_NEWNET), 0);
  }
  void MakeNamespace() const {
    const sys::UniqueFd node(open(kOwn, O_RDONLY | O_CLOEXEC));
    std::ofstream(pod_.netns_path).flush();
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ASSERT_EQ(mount(kOwn, pod_.netns_path.c_str(), nullptr, MS_BIND, nullptr), 0) << strerror(errno);
    ASSERT_EQ(setns(node.get(), CLONE_NEWNET), 0);
  }
  static std::vector<std::string> Leases() {
    std::vector<std::string> out;
    std::error_code none;
    for (const auto& e : fs::directory_iterator("/mnt/ipam/pods", none))
      if (std::string name = e.path().filename(); name != "lock" && name.rfind("last_reserved_ip", 0) != 0)
        out.push_back(name);
    return out;
  }
  // Rules of portmap that belong to somebody.
  static size_t Rules() {
    auto netfilter = nft::Netfilter::Open();
    auto rules = netfilter->ListRules("wherry_portmap");
    EXPECT_TRUE(rules.ok()) << rules.status();
    return static_cast<size_t>(
        std::count_if(rules->begin(), rules->end(), [](const nft::Rule& rule) { return !rule.comment.empty(); }));
  }
  static size_t Interfaces(const std::string& prefix) {
    size_t count = 0;
    std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> all(if_nameindex(), if_freenameindex);
    for (const auto* one = all.get(); one->if_index != 0; ++one)
      count += std::string(one->if_name).rfind(prefix, 0) == 0 ? 1 : 0;
    return count;
  }

  sys::UniqueFd home_;
  std::unique_ptr<Network> network_;
  PodNetwork pod_;
};

TEST_F(RealPluginsTest, BothFamiliesComeAndGo) {
  EXPECT_TRUE(network_->Ready().ready) << network_->Ready().message;
  auto added = network_->Add(pod_);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_THAT(added->ips, ElementsAre("10.77.0.2", "fd00:77::2"));
  EXPECT_EQ(Leases().size(), 2U);
  EXPECT_NE(if_nametoindex("wnet0"), 0U);
  EXPECT_TRUE(network_->Remove(pod_).ok());
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_TRUE(network_->Remove(pod_).ok());
}

TEST_F(RealPluginsTest, AddressesAreReleasedWhenTheNamespaceIsGone) {
  ASSERT_TRUE(network_->Add(pod_).ok());
  ASSERT_EQ(umount2(pod_.netns_path.c_str(), MNT_DETACH), 0);  // a plain file is left, as after a reboot
  absl::Status removed = network_->Remove(pod_);
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_THAT(Leases(), IsEmpty());
}

// What the kubelet asks for in a pod's sandbox configuration and annotations reaches the plugins that declare it.
TEST_F(RealPluginsTest, PortsAndBandwidthOfThePod) {
  std::ofstream("/mnt/net.d/05-full.conflist") << R"({"cniVersion":"1.0.0","name":"pods","plugins":[{
    "type":"bridge","bridge":"wnet0","isGateway":true,"ipam":{"type":"host-local","dataDir":"/mnt/ipam",
    "ranges":[[{"subnet":"10.77.0.0/24"}]]}}, {"type":"portmap","capabilities":{"portMappings":true}},
    {"type":"bandwidth","capabilities":{"bandwidth":true}}]})";
  pod_.port_mappings = {{"TCP", 80, 8080, ""}, {"UDP", 53, 0, ""}};
  pod_.annotations["kubernetes.io/egress-bandwidth"] = "10M";
  auto added = network_->Add(pod_);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(Rules(), 3U);  // the mapping, and two that masquerade
  EXPECT_EQ(Interfaces("bwp"), 1U);
  EXPECT_TRUE(network_->Remove(pod_).ok());
  EXPECT_EQ(Rules(), 0U);
  EXPECT_EQ(Interfaces("bwp"), 0U);
  EXPECT_THAT(Leases(), IsEmpty());
}

// Debian's containernetworking-plugins below our caller; and a node that changes from one to the other while a pod runs.
TEST_F(RealPluginsTest, TheReferencePluginsAndOursTakeTurns) {
  constexpr char kReference[] = "/usr/lib/cni";
  if (access("/usr/lib/cni/bridge", X_OK) != 0) GTEST_SKIP() << "no reference plugins in " << kReference;
  std::ofstream("/mnt/net.d/05-full.conflist") << R"({"cniVersion":"1.0.0","name":"pods","plugins":[{
    "type":"bridge","bridge":"wnet0","isGateway":true,"ipam":{"type":"host-local","dataDir":"/mnt/ipam",
    "ranges":[[{"subnet":"10.77.0.0/24"}]]}}, {"type":"bandwidth","capabilities":{"bandwidth":true}},
    {"type":"firewall","backend":"iptables"}, {"type":"tuning","sysctl":{"net.core.somaxconn":"77"}}]})";
  pod_.annotations["kubernetes.io/egress-bandwidth"] = "10M";
  const std::string dirs[] = {kReference, WHERRY_CNI_DIR};
  for (const auto& adds : dirs) {
    for (const auto& removes : dirs) {
      auto first = Network::Create({"/mnt/net.d", "/mnt/cache", {adds}, 60});
      auto second = Network::Create({"/mnt/net.d", "/mnt/cache", {removes}, 60});
      EXPECT_TRUE((*first)->Ready().ready) << (*first)->Ready().message;
      auto added = (*first)->Add(pod_);
      ASSERT_TRUE(added.ok()) << added.status();
      EXPECT_THAT(Leases(), ElementsAre(added->ips.at(0)));
      // The reference's bandwidth wants its own rounding of a burst, which it counts in time, from others too.
      if (adds == removes || removes == WHERRY_CNI_DIR) {
        absl::Status checked = (*second)->Check(pod_.pod_id);
        EXPECT_TRUE(checked.ok()) << adds << " then " << removes << ": " << checked;
      }
      absl::Status removed = (*second)->Remove(pod_);
      EXPECT_TRUE(removed.ok()) << removed;
      EXPECT_THAT(Leases(), IsEmpty());
      EXPECT_EQ(Interfaces("bwp"), 0U) << adds << " then " << removes;
      // Our DEL leaves the interface to the end of the namespace, as a pod's always comes then.
      ASSERT_EQ(umount2(pod_.netns_path.c_str(), MNT_DETACH), 0);
      while (Interfaces("veth") != 0) usleep(1000);  // the time limit of the program is the test's
      MakeNamespace();
    }
  }
}

TEST_F(RealPluginsTest, AFailedSecondPluginReleasesWhatTheFirstGave) {
  std::ofstream("/mnt/net.d/05-two.conflist") << R"({"cniVersion":"1.0.0","name":"pods","plugins":[{
    "type":"bridge","bridge":"wnet0","ipam":{"type":"host-local","dataDir":"/mnt/ipam",
    "ranges":[[{"subnet":"10.77.0.0/24"}]]}}, {"type":"bridge","bridge":"wnet0","macspoofchk":true}]})";
  auto added = network_->Add(pod_);
  EXPECT_FALSE(added.ok());
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_TRUE(fs::is_empty("/mnt/cache/results")) << added.status();
}

}  // namespace
}  // namespace wherry::network
