#include <net/if.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "test/integration/cni/node.h"

namespace wherry::cni_test {
namespace {

using nlohmann::json;

class TuningTest : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    MakePod("a");
    result_ = Add("a", BridgeConf()).json();
    ASSERT_TRUE(result_.contains("ips")) << result_;
  }
  json Conf(const char* more) {
    json conf = {{"cniVersion", "1.1.0"}, {"name", "pods"}, {"type", "tuning"}, {"prevResult", result_}};
    conf["prevResult"]["cniVersion"] = "1.1.0";
    conf.merge_patch(json::parse(more));
    return conf;
  }
  Outcome Do(const std::string& command, const json& conf) { return Call("tuning", command, "a", conf); }
  netlink::Link Eth0() {
    netlink::Link out;
    InPod("a", [&] {
      auto socket = netlink::Socket::Open();
      auto link = netlink::GetLink(*socket, "eth0");
      EXPECT_TRUE(link.ok()) << link.status();
      if (link.ok()) out = *link;
    });
    return out;
  }
  std::string Sysctl(const std::string& name) {
    std::string out;
    InPod("a", [&] { std::ifstream("/proc/sys/net/" + name) >> out; });
    return out;
  }

  json result_;
};

TEST_F(TuningTest, InterfaceAndSysctls) {
  const json conf =
      Conf(R"({"mac": "02:11:22:33:44:55", "mtu": 1400, "promisc": true, "allmulti": true, "txQLen": 77, "sysctl": {
      "net.core.somaxconn": "77", "net.ipv4.conf.IFNAME.log_martians": "1", "net/ipv4/conf/all/arp_notify": "1"}})");
  const Outcome added = Do("ADD", conf);
  ASSERT_TRUE(added.ok()) << added.output;
  EXPECT_EQ(added.json()["interfaces"][2]["mac"], "02:11:22:33:44:55");
  EXPECT_EQ(added.json()["interfaces"][2]["mtu"], 1400);
  const netlink::Link link = Eth0();
  EXPECT_EQ(link.mac, "02:11:22:33:44:55");
  EXPECT_EQ(link.mtu, 1400U);
  EXPECT_EQ(link.queue_length, 77U);
  EXPECT_NE(link.flags & IFF_PROMISC, 0U);
  EXPECT_NE(link.flags & IFF_ALLMULTI, 0U);
  EXPECT_EQ(Sysctl("core/somaxconn"), "77");
  EXPECT_EQ(Sysctl("ipv4/conf/eth0/log_martians"), "1");
  EXPECT_EQ(Sysctl("ipv4/conf/all/arp_notify"), "1");
  std::string host;
  std::ifstream("/proc/sys/net/core/somaxconn") >> host;
  EXPECT_NE(host, "77") << "the node's own";
  EXPECT_TRUE(Do("CHECK", conf).ok()) << Do("CHECK", conf).output;
  EXPECT_FALSE(Do("CHECK", Conf(R"({"mtu": 1300})")).ok());
  EXPECT_FALSE(Do("CHECK", Conf(R"({"txQLen": 78})")).ok());
  EXPECT_FALSE(Do("CHECK", Conf(R"({"sysctl": {"net.core.somaxconn": "78"}})")).ok());
  EXPECT_TRUE(Do("DEL", conf).ok());
  EXPECT_TRUE(Do("DEL", conf).ok());
}

TEST_F(TuningTest, TheAdministratorsListCounts) {
  ASSERT_EQ(mount("tmpfs", "/etc", "tmpfs", 0, nullptr), 0) << strerror(errno);
  std::filesystem::create_directories("/etc/cni/tuning");
  std::ofstream("/etc/cni/tuning/allowlist.conf")
      << "^net\\.core\\.somaxconn$\n^net\\.ipv4\\.conf\\.[a-z0-9]*\\.arp_.*$\n";
  EXPECT_TRUE(Do("ADD", Conf(R"({"sysctl": {"net.core.somaxconn": "77"}})")).ok());
  const Outcome refused =
      Do("ADD", Conf(R"({"mtu": 1400, "sysctl": {"net.ipv4.conf.all.arp_notify": "1", "net.ipv4.ip_forward": "1"}})"));
  EXPECT_EQ(refused.code(), 7) << refused.output;
  EXPECT_EQ(Eth0().mtu, 1500U);
  EXPECT_EQ(Sysctl("ipv4/conf/all/arp_notify"), "0");
  EXPECT_EQ(umount2("/etc", MNT_DETACH), 0);
}

TEST_F(TuningTest, MalformedCallsChangeNothing) {
  struct Case {
    const char* more;
    int code;
  };
  const Case cases[] = {
      {R"({"sysctl": {"kernel.hostname": "x"}})", 7},
      {R"({"sysctl": {"net.../../kernel/hostname": "x"}})", 7},
      {R"({"sysctl": {"net/../kernel/hostname": "x"}})", 7},
      {R"({"sysctl": {"net": "x"}})", 7},
      {R"({"sysctl": {"net.core.somaxconn": 77}})", 7},
      {R"({"sysctl": []})", 7},
      {R"({"mac": "x"})", 7},
      {R"({"mac": "01:00:00:00:00:01"})", 7},
      {R"({"mtu": -1})", 7},
      {R"({"mtu": 65536})", 7},
      {R"({"promisc": "yes"})", 7},
      {R"({"txQLen": -5})", 7},
      {R"({"prevResult": null})", 7},
  };
  for (const Case& bad : cases) {
    json conf = Conf(R"({"mtu": 1400})");
    conf.merge_patch(json::parse(bad.more));
    EXPECT_EQ(Do("ADD", conf).code(), bad.code) << bad.more << Do("ADD", conf).output;
  }
  EXPECT_EQ(Eth0().mtu, 1500U);
}

}  // namespace
}  // namespace wherry::cni_test
