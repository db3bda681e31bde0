#include <sys/stat.h>
#include <sys/xattr.h>

#include <fstream>
#include <sstream>

#include "test/integration/cni/node.h"

// IPAM by another program: a script stands for it, which notes how it was called.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

class LeaseTest : public Node {};

class DelegateTest : public Node {
 protected:
  json Conf() {
    json conf = BridgeConf();
    conf["ipam"] = {{"type", "my-ipam"}};
    return conf;
  }
  void Install(const std::string& on_add) {
    const std::string path = root_ / "my-ipam", log = root_ / "log";
    std::ofstream(path) << "#!/bin/sh\necho \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME\" >> " << log << "\ncat > "
                        << (root_ / "input").string() << "\n[ $CNI_COMMAND = ADD ] || exit 0\n"
                        << on_add << "\n";
    chmod(path.c_str(), 0755);
  }
  std::string Log() {
    std::ifstream file(root_ / "log");
    return (std::stringstream() << file.rdbuf()).str();
  }
};

TEST_F(DelegateTest, ItsAddressIsUsed) {
  Install(
      R"(echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.5.0.9/16", "gateway": "10.5.0.1"}], "dns": {"domain": "x"}}')");
  MakePod("a");
  const Outcome a = Add("a", Conf());
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_EQ(AddressOf(a), "10.5.0.9");
  EXPECT_EQ(a.json()["dns"]["domain"], "x");
  std::ifstream input(root_ / "input");
  EXPECT_EQ(json::parse(input), Conf());
  EXPECT_TRUE(Del("a", Conf()).ok());
  EXPECT_EQ(Log(), "ADD a eth0\nDEL a eth0\n");
}

TEST_F(DelegateTest, ItsErrorIsOursAndItIsTold) {
  Install(R"(echo '{"cniVersion": "1.0.0", "code": 11, "msg": "come back later"}'; exit 1)");
  MakePod("a");
  const Outcome a = Add("a", Conf());
  EXPECT_EQ(a.code(), 11);
  EXPECT_NE(a.output.find("come back later"), std::string::npos);
  EXPECT_EQ(Log(), "ADD a eth0\nDEL a eth0\n");
  EXPECT_TRUE(Links("veth").empty());
}

TEST_F(DelegateTest, AResultWithoutAddressIsAnError) {
  Install(R"(echo '{"cniVersion": "1.0.0"}')");
  MakePod("a");
  EXPECT_FALSE(Add("a", Conf()).ok());
  EXPECT_EQ(Log(), "ADD a eth0\nDEL a eth0\n");
}

TEST_F(DelegateTest, AMissingPluginIsNamed) {
  MakePod("a");
  const Outcome a = Add("a", Conf());
  EXPECT_EQ(a.code(), 7);
  EXPECT_NE(a.output.find("my-ipam"), std::string::npos) << a.output;
}

TEST_F(LeaseTest, LeasesOfAnotherBootAreFree) {
  json conf = BridgeConf();
  conf["ipam"]["ranges"] =
      json::parse(R"([[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.5", "rangeEnd": "10.88.0.5"}]])");
  MakePod("a"), MakePod("b");
  ASSERT_TRUE(Add("a", conf).ok());
  EXPECT_EQ(Add("b", conf).code(), 11);
  const std::string lease = root_ / "leases" / "pods" / "10.88.0.5";
  ASSERT_EQ(setxattr(lease.c_str(), "trusted.wherry.boot_id", "another", 7, XATTR_REPLACE), 0) << strerror(errno);
  const Outcome again = Add("b", conf);
  ASSERT_TRUE(again.ok()) << again.output;
  EXPECT_EQ(AddressOf(again), "10.88.0.5");
  // The DEL of the pod before the reboot comes late, and must not take what is another's by now.
  EXPECT_TRUE(Del("a", conf).ok());
  EXPECT_EQ(Leases(), std::set<std::string>{"10.88.0.5"});
  // The reference's leases have no such mark.
  ASSERT_EQ(removexattr(lease.c_str(), "trusted.wherry.boot_id"), 0);
  EXPECT_EQ(Call("bridge", "CHECK", "b",
                 [&] {
                   json check = conf;
                   check["prevResult"] = again.json();
                   return check;
                 }())
                .output,
            "");
}

}  // namespace
}  // namespace wherry::cni_test
