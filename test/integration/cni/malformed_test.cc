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
