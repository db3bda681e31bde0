#include "test/integration/cni/node.h"

// The program's answers to what no plugin should be asked.
namespace wherry::cni_test {
namespace {

using nlohmann::json;

constexpr const char* kAll[] = {"bandwidth", "bridge", "firewall", "host-local", "loopback",
                                "portmap",   "ptp",    "static",   "tuning"};

class MalformedTest : public Node {};

TEST_F(MalformedTest, EachHasItsCode) {
  struct Case {
    const char* input;
    int code;
  };
  const Case cases[] = {
      {"", 6},
      {"{", 6},
      {"[]", 6},
      {R"({"cniVersion": "1.0.0"})", 7},
      {R"({"cniVersion": "1.0.0", "name": "a/b"})", 7},
      {R"({"cniVersion": "0.1.0", "name": "a"})", 1},
      {R"({"cniVersion": "1.0.0", "name": "a", "ipam": {"type": "host-local"}})", 7},
      {R"({"cniVersion": "1.0.0", "name": "a", "ipam": {"type": "host-local", "subnet": "10.1.0.0/33"}})", 7},
      {R"({"cniVersion": "1.0.0", "name": "a", "ipam": {"type": "host-local", "subnet": "10.1.0.0/31"}})", 7},
      {R"({"cniVersion": "1.0.0", "name": "a", "ipam": {"type": "../../bin/sh"}})", 7},
      {R"({"cniVersion": "1.0.0", "name": "a", "vlan": 7000})", 7},
      {R"({"cniVersion": "1.0.0", "name": "a", "bridge": 7})", 7},
  };
  MakePod("a");
  for (const Case& bad : cases) {
    const Outcome outcome = Run("bridge", bad.input, CallVariables("ADD", "a"));
    EXPECT_EQ(outcome.code(), bad.code) << bad.input << "\n" << outcome.output;
    EXPECT_TRUE(outcome.json().contains("cniVersion"));
    EXPECT_TRUE(outcome.json().contains("msg"));
    EXPECT_NE(outcome.status, 0);
  }
  EXPECT_TRUE(Links("veth").empty());
  EXPECT_TRUE(Links("bridge").empty());
}

// Whatever the plugin: what is wrong with the call itself has its code, and comes before anything is done.
TEST_F(MalformedTest, EveryPluginLooksAtItsCallFirst) {
  const std::string good = R"({"cniVersion": "1.1.0", "name": "n", "ipam": {"type": "host-local", "dataDir": ")" +
                           (root_ / "leases").string() + R"(", "subnet": "10.1.0.0/24"}})";
  struct Input {
    std::string text;
    int code;
  };
  const Input inputs[] = {
      {"", 6},
      {"\x01\xff garbage", 6},
      {"{\"cniVersion\": ", 6},
      {"[]", 6},
      {std::string(2 << 20, ' '), 5},
      {"{\"a\": " + std::string(100, '[') + std::string(100, ']') + "}", 6},
      {R"({"cniVersion": "1.0.0"})", 7},
      {R"({"cniVersion": "1.0.0", "name": "../x"})", 7},
      {R"({"cniVersion": "9.9.9", "name": "n"})", 1},
      {R"({"cniVersion": 1, "name": "n"})", 7},
  };
  struct Variable {
    const char* name;
    std::string value;
  };
  const Variable variables[] = {{"CNI_COMMAND", ""},
                                {"CNI_COMMAND", "REMOVE"},
                                {"CNI_CONTAINERID", ""},
                                {"CNI_CONTAINERID", "a/b"},
                                {"CNI_IFNAME", ""},
                                {"CNI_IFNAME", "a/b"},
                                {"CNI_IFNAME", "0123456789abcdef"},
                                {"CNI_NETNS", ""},
                                {"CNI_ARGS", "K=V"},
                                {"CNI_ARGS", "IgnoreUnknown=1;IP=x"}};
  MakePod("a");
  for (const char* plugin : kAll) {
    for (const Input& input : inputs) {
      const Outcome outcome = Run(plugin, input.text, CallVariables("ADD", "a"));
      EXPECT_EQ(outcome.code(), input.code) << plugin << input.text.substr(0, 80) << outcome.output;
      EXPECT_TRUE(outcome.json().contains("cniVersion") && !outcome.json().value("msg", "").empty()) << outcome.output;
    }
    for (const auto& [name, value] : variables) {
      auto changed = CallVariables("ADD", "a");
      changed[name] = value;
      const Outcome outcome = Run(plugin, good, changed);
      EXPECT_EQ(outcome.code(), 4) << plugin << name << value << outcome.output;
      EXPECT_NE(outcome.output.find(name), std::string::npos) << outcome.output;
    }
  }
  EXPECT_TRUE(Links("veth").empty() && Links("bridge").empty() && Leases("n").empty());
}

TEST_F(MalformedTest, NoNetworkNamespaceIsNamed) {
  for (const char* plugin : {"bridge", "loopback", "ptp"}) {
    for (const std::string& path :
         {(root_ / "nothing").string(), std::string("/etc/passwd"), std::string("/proc/self/ns/mnt"),
          std::string("/proc/self/ns/net"), root_.string()}) {
      auto variables = CallVariables("ADD", "a");
      variables["CNI_NETNS"] = path;
      const Outcome outcome = Run(plugin, BridgeConf().dump(), variables);
      EXPECT_EQ(outcome.code(), 4) << plugin << path << outcome.output;
      EXPECT_NE(outcome.output.find(path), std::string::npos) << outcome.output;
    }
  }
  EXPECT_TRUE(Leases().empty() && Links("bridge").empty());
}

TEST_F(MalformedTest, RangesThatCannotBe) {
  struct Case {
    const char* ranges;
    int code;
    const char* text;
  };
  const Case cases[] = {
      {R"([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.128/25"}]])", 7, "overlap"},
      {R"([[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/24"}]])", 7, "overlap"},
      {R"([[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]])", 7, "mixes"},
      {R"([[{"subnet": "10.1.0.1/24"}]])", 7, "host bits"},
      {R"([[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]])", 7, "rangeStart"},
      {R"([[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}]])", 7, "rangeEnd"},
      {R"([[{"subnet": "10.1.0.0/31"}]])", 7, "too small"},
      {R"([[]])", 7, "empty"},
      {R"([])", 7, "no IP ranges"},
      {R"([[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1", "rangeEnd": "10.1.0.1"}]])", 11, "no address is free"},
  };
  MakePod("a");
  for (const Case& bad : cases) {
    json conf = BridgeConf();
    conf["ipam"]["ranges"] = json::parse(bad.ranges);
    for (const char* plugin : {"host-local", "bridge", "ptp"}) {
      const Outcome outcome = Call(plugin, "ADD", "a", conf);
      EXPECT_EQ(outcome.code(), bad.code) << plugin << bad.ranges << outcome.output;
      EXPECT_NE(outcome.output.find(bad.text), std::string::npos) << outcome.output;
    }
  }
  EXPECT_TRUE(Leases().empty() && Links("veth").empty());
}

TEST_F(MalformedTest, VersionNeedsNothing) {
  for (const char* plugin : kAll) {
    const Outcome outcome = Run(plugin, R"({"cniVersion": "0.4.0"})", {{"CNI_COMMAND", "VERSION"}});
    ASSERT_TRUE(outcome.ok()) << outcome.output;
    EXPECT_EQ(outcome.json()["cniVersion"], "0.4.0");
    EXPECT_EQ(outcome.json()["supportedVersions"], json({"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}));
    EXPECT_TRUE(Run(plugin, "", {{"CNI_COMMAND", "VERSION"}}).ok());
  }
}

TEST_F(MalformedTest, AnUnknownNameIsNoPlugin) {
  const std::string path = root_ / "other";
  std::filesystem::copy_file(std::string(WHERRY_CNI_DIR) + "/bridge", path);
  const Outcome outcome = Run(path, "{}", {{"CNI_COMMAND", "VERSION"}});
  EXPECT_FALSE(outcome.ok());
  EXPECT_NE(outcome.output.find("bridge, firewall, host-local, loopback"), std::string::npos) << outcome.output;
}

}  // namespace
}  // namespace wherry::cni_test
