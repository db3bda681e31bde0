#include <unistd.h>

#include "test/integration/cni/node.h"

// static: as a program of its own, beside the reference's, and behind bridge.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

class StaticTest : public Node {
 protected:
  json Conf() const {
    json conf = BridgeConf();
    conf["ipam"] =
        json::parse(R"({"type": "static", "addresses": [{"address": "10.77.0.9/24", "gateway": "10.77.0.254"},
        {"address": "fd00:77::9/64"}], "routes": [{"dst": "10.99.0.0/16"}], "dns": {"nameservers": ["10.77.0.2"]}})");
    return conf;
  }
};

TEST_F(StaticTest, IsAProgram) {
  const Variables add = CallVariables("ADD", "a");
  const Outcome outcome = Run("static", Conf().dump(), add);
  ASSERT_TRUE(outcome.ok()) << outcome.output;
  EXPECT_EQ(outcome.json()["ips"][0]["gateway"], "10.77.0.254");
  Variables asked = add;
  asked["CNI_ARGS"] = "IP=10.78.0.3/24;GATEWAY=10.78.0.1";
  EXPECT_EQ(Run("static", Conf().dump(), asked).json()["ips"][2]["gateway"], "10.78.0.1");
  json check = Conf();
  check["prevResult"] = outcome.json();
  EXPECT_EQ(Call("static", "CHECK", "a", check).output, "");
  check["prevResult"]["ips"].erase(0);
  EXPECT_EQ(Call("static", "CHECK", "a", check).code(), 999);
  EXPECT_EQ(Call("static", "CHECK", "a", Conf()).code(), 7);
  EXPECT_EQ(Call("static", "DEL", "a", Conf()).output, "");
  json newest = Conf();
  newest["cniVersion"] = "1.1.0";
  EXPECT_EQ(Call("static", "STATUS", "a", newest).output, "");
  EXPECT_EQ(Call("static", "GC", "a", newest).output, "");
  newest["ipam"]["addresses"][0]["address"] = "10.77.0.9";
  EXPECT_EQ(Call("static", "STATUS", "a", newest).code(), 7);
  EXPECT_TRUE(Call("static", "DEL", "a", newest).ok());
}

TEST_F(StaticTest, ItsResultIsTheReferences) {
  const std::string reference = std::string(kReference) + "/static";
  if (access(reference.c_str(), X_OK) != 0) GTEST_SKIP() << "no " << reference;
  json conf = Conf();
  const auto both = [&](const std::string& arguments) {
    Variables variables = CallVariables("ADD", "a");
    if (!arguments.empty()) variables["CNI_ARGS"] = arguments;
    EXPECT_EQ(Run("static", conf.dump(), variables).json(), Run(reference, conf.dump(), variables).json()) << conf;
  };
  both(""), both("IP=10.78.0.3/24;GATEWAY=10.78.0.1,10.77.0.3");
  conf["args"]["cni"]["ips"] = {"10.79.0.3/24"};
  both("IP=10.78.0.3/24");
  conf["runtimeConfig"]["ips"] = {"fd00:79::3/64", "10.80.0.3/24"};
  both("");
}

TEST_F(StaticTest, AddressesABridgesPod) {
  MakePod("a"), MakePod("b");
  const Outcome a = Add("a", Conf());
  ASSERT_TRUE(a.ok()) << a.output;
  EXPECT_EQ(a.json()["ips"][0]["address"], "10.77.0.9/24");
  EXPECT_EQ(a.json()["ips"][1]["gateway"], "fd00:77::1");
  EXPECT_EQ(a.json()["dns"]["nameservers"][0], "10.77.0.2");
  InPod("a", [] { EXPECT_TRUE(CanBind("10.77.0.9") && CanBind("fd00:77::9")); });
  json b = Conf();
  b["isDefaultGateway"] = false;
  b["runtimeConfig"]["ips"] = {"10.77.0.10/24"};
  ASSERT_TRUE(Add("b", b).ok());
  InPod("b", [] { EXPECT_TRUE(CanBind("10.77.0.10")); });
  json check = Conf();
  check["prevResult"] = a.json();
  EXPECT_EQ(Call("bridge", "CHECK", "a", check).output, "");
  check["prevResult"]["ips"][0]["gateway"] = "10.77.0.253";
  EXPECT_NE(Call("bridge", "CHECK", "a", check).output.find("10.77.0.9 with gateway 10.77.0.254"), std::string::npos);
  EXPECT_TRUE(Del("a", Conf()).ok());
  EXPECT_TRUE(Del("b", b).ok());
  EXPECT_TRUE(Links("veth").empty());
}

TEST_F(StaticTest, NoAddressIsAnErrorBehindABridge) {
  json conf = Conf();
  conf["ipam"].erase("addresses");
  MakePod("a");
  EXPECT_EQ(Add("a", conf).code(), 7);
  EXPECT_TRUE(Links("veth").empty());
}

}  // namespace
}  // namespace wherry::cni_test
