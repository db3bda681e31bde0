#include "cni/netlink/link.h"
#include "test/integration/cni/node.h"

namespace wherry::cni_test {
namespace {

using nlohmann::json;

class LoopbackTest : public Node {
 protected:
  bool IsUp() {
    bool up = false;
    InPod("a", [&] {
      auto socket = netlink::Socket::Open();
      auto lo = netlink::GetLink(*socket, "lo");
      up = lo.ok() && lo->up();
    });
    return up;
  }
  json conf_ = {{"cniVersion", "1.0.0"}, {"name", "lo"}, {"type", "loopback"}};
};

TEST_F(LoopbackTest, GoesUpAndDown) {
  MakePod("a");
  const Outcome a = Call("loopback", "ADD", "a", conf_);
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_TRUE(IsUp());
  EXPECT_EQ(a.json()["interfaces"][0]["name"], "lo");
  EXPECT_EQ(a.json()["ips"][0]["address"], "127.0.0.1/8");
  EXPECT_TRUE(Call("loopback", "CHECK", "a", conf_).ok());
  EXPECT_TRUE(Call("loopback", "DEL", "a", conf_).ok());
  EXPECT_FALSE(IsUp());
  EXPECT_FALSE(Call("loopback", "CHECK", "a", conf_).ok());
  EXPECT_TRUE(Call("loopback", "DEL", "a", conf_).ok());
  RemovePod("a");
  EXPECT_TRUE(Call("loopback", "DEL", "a", conf_).ok());
}

TEST_F(LoopbackTest, PassesAPreviousResultOn) {
  MakePod("a");
  conf_["prevResult"] = json::parse(R"({"cniVersion": "1.0.0", "interfaces": [{"name": "eth0"}],
      "ips": [{"address": "10.1.0.5/16"}], "dns": {}})");
  const Outcome a = Call("loopback", "ADD", "a", conf_);
  EXPECT_EQ(a.json(), conf_["prevResult"]) << a.output;
}

}  // namespace
}  // namespace wherry::cni_test
