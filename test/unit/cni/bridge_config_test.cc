#include "cni/plugins/bridge_config.h"

#include "api/cni/error.h"
#include "cni/plugins/bridge_vlan.h"
#include "gtest/gtest.h"

namespace wherry::plugins {
namespace {

absl::StatusOr<BridgeConfig> Config(const std::string& more, const std::string& command = "ADD") {
  Call call;
  call.command = command;
  call.document = nlohmann::json::parse(R"({"cniVersion": "1.0.0", "name": "n", )" + more + "}");
  return ReadBridgeConfig(call);
}

uint32_t BridgeCode(const std::string& more) {
  absl::StatusOr<BridgeConfig> config = Config(more);
  return config.ok() ? 0 : cni::ToError(config.status()).code;
}

// "-1-99 -101-4094 +100un": what is removed and added, in order; u and n for untagged and native.
std::string Plan(const std::string& more) {
  const VlanPlan plan = PlanPortVlans(Config(more).value());
  std::string out;
  const auto print = [&](char sign, const netlink::VlanRange& range) {
    out += sign + std::to_string(range.first);
    if (range.last != range.first) out += "-" + std::to_string(range.last);
    out += std::string(range.untagged ? "u" : "") + (range.native ? "n" : "") + " ";
  };
  for (const netlink::VlanRange& range : plan.remove) print('-', range);
  for (const netlink::VlanRange& range : plan.add) print('+', range);
  return out;
}

TEST(BridgeConfig, RefusesWhatItWouldHaveToIgnore) {
  EXPECT_TRUE(Config(R"("ipMasqBackend": "ipchains")", "DEL").ok());
  EXPECT_EQ(BridgeCode(R"("ipMasq": true, "ipMasqBackend": "ipchains")"), 2U);
  EXPECT_EQ(BridgeCode(R"("ipMasq": true, "ipMasqBackend": 7)"), 2U);
  EXPECT_EQ(BridgeCode(R"("ipMasq": true, "ipMasqBackend": "iptables")"), 0U);
  EXPECT_EQ(BridgeCode(R"("ipMasq": true, "ipMasqBackend": "nftables")"), 0U);
  EXPECT_EQ(BridgeCode(R"("macspoofchk": false, "vlan": 0, "unheard": "of")"), 0U);
}

TEST(BridgeConfig, RefusesContradictionsAndNonsense) {
  EXPECT_EQ(BridgeCode(R"("hairpinMode": true, "promiscMode": true)"), 7U);
  EXPECT_EQ(BridgeCode(R"("ipam": {"type": "../host-local"})"), 7U);
  EXPECT_EQ(BridgeCode(R"("bridge": "a/b")"), 7U);
  EXPECT_EQ(BridgeCode(R"("bridge": "much-too-long-name")"), 7U);
  EXPECT_EQ(BridgeCode(R"("mtu": 70000)"), 7U);
  EXPECT_EQ(BridgeCode(R"("mtu": -1)"), 7U);
  EXPECT_EQ(BridgeCode(R"("macspoofchk": "yes")"), 7U);
  EXPECT_EQ(BridgeCode(R"("isGateway": "yes")"), 7U);
  EXPECT_EQ(BridgeCode(R"("runtimeConfig": {"mac": "01:00:00:00:00:01"})"), 7U);
}

TEST(BridgeConfig, VlansAreNumbersOfOneTo4094) {
  for (const char* wrong :
       {R"("vlan": 4095)", R"("vlan": -1)", R"("vlan": "7")", R"("vlanTrunk": {"id": 5})", R"("vlanTrunk": [5])",
        R"("vlanTrunk": [{"id": 0}])", R"("vlanTrunk": [{"id": 4095}])", R"("vlanTrunk": [{"minID": 5}])",
        R"("vlanTrunk": [{"maxID": 5}])", R"("vlanTrunk": [{"minID": 6, "maxID": 5}])",
        R"("vlanTrunk": [{"minID": 0, "maxID": 5}])", R"("vlanTrunk": [{"minID": 1, "maxID": 4095}])",
        R"("preserveDefaultVlan": 1)", R"("vlan": 4000, "isGateway": true, "bridge": "eleven-char")"})
    EXPECT_EQ(BridgeCode(wrong), 7U) << wrong;
  EXPECT_EQ(BridgeCode(R"("vlan": 4000, "bridge": "eleven-char")"), 0U);
}

TEST(BridgeConfig, FiltersVlansOnceTheyAreMentioned) {
  EXPECT_FALSE(Config(R"("vlan": 0, "vlanTrunk": null)")->filters_vlans);
  EXPECT_TRUE(Config(R"("vlan": 7)")->filters_vlans);
  EXPECT_TRUE(Config(R"("vlanTrunk": [])")->filters_vlans);
}

TEST(BridgeConfig, PlansAPortsVlans) {
  EXPECT_EQ(Plan(R"("vlan": 0)"), "");
  EXPECT_EQ(Plan(R"("vlanTrunk": [])"), "");
  EXPECT_EQ(Plan(R"("vlan": 100)"), "-1-99 -101-4094 +100un ");
  EXPECT_EQ(Plan(R"("vlan": 100, "preserveDefaultVlan": true)"), "+100un ");
  EXPECT_EQ(Plan(R"("vlan": 1)"), "-2-4094 +1un ");
  EXPECT_EQ(Plan(R"("vlanTrunk": [{"id": 5}, {"minID": 3, "maxID": 4}, {"id": 4094}])"), "-2 -6-4093 +3-5 +4094 +1un ");
  EXPECT_EQ(Plan(R"("vlan": 4, "vlanTrunk": [{"minID": 1, "maxID": 4094}])"), "+4un +1-4094 ");
}

}  // namespace
}  // namespace wherry::plugins
