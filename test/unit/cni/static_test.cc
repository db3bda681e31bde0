#include "cni/ipam/static.h"

#include <nlohmann/json.hpp>

#include "api/cni/error.h"
#include "gtest/gtest.h"

namespace wherry::ipam {
namespace {

using nlohmann::json;

json Conf(const json& more = json::object()) {
  json conf = json::parse(R"({"name": "n", "ipam": {"type": "static", "addresses": [
      {"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}],
      "routes": [{"dst": "0.0.0.0/0"}], "dns": {"nameservers": ["10.1.0.2"], "domain": "x"}}})");
  conf.merge_patch(more);
  return conf;
}

// The addresses with their gateways, as one text.
std::string Addresses(const json& conf, const Arguments& arguments = {}) {
  auto result = ReadStatic(conf, arguments);
  if (!result.ok()) return std::string(result.status().message());
  std::string out;
  for (const cni::IpConfig& ip : result->ips) out += ip.address.ToString() + ">" + ip.gateway.ToString() + " ";
  return out;
}

Arguments Ask(const std::string& ip, const std::string& gateway) {
  return {{ParseRequestedAddress(ip).value()}, {cni::IpAddress::Parse(gateway).value()}};
}

TEST(Static, GivesWhatTheConfigurationSays) {
  auto result = ReadStatic(Conf(), {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Addresses(Conf()), "10.1.0.5/24>10.1.0.1 fd00::5/64> ");
  ASSERT_EQ(result->routes.size(), 1U);
  EXPECT_EQ(result->dns.nameservers, std::vector<std::string>{"10.1.0.2"});
  EXPECT_EQ(result->dns.domain, "x");
}

TEST(Static, ArgumentsAddAndGiveGatewaysToTheirNetworks) {
  EXPECT_EQ(Addresses(Conf(), Ask("10.2.0.5/24", "10.2.0.1")),
            "10.1.0.5/24>10.1.0.1 fd00::5/64> 10.2.0.5/24>10.2.0.1 ");
  EXPECT_EQ(Addresses(Conf(), Ask("10.2.0.5/24", "fd00::1")), "10.1.0.5/24>10.1.0.1 fd00::5/64> 10.2.0.5/24> ");
  EXPECT_EQ(cni::ToError(ReadStatic(Conf(), Ask("10.2.0.5", "fd00::1")).status()).code, 4U);
}

TEST(Static, TheRuntimeReplacesArgsAndArgsTheRest) {
  const json args = {{"args", {{"cni", {{"ips", {"10.3.0.5/24"}}}}}}};
  EXPECT_EQ(Addresses(Conf(args), Ask("10.2.0.5/24", "10.2.0.1")), "10.3.0.5/24> ");
  json both = args;
  both["runtimeConfig"]["ips"] = {"10.4.0.5/24", "fd04::5/64"};
  EXPECT_EQ(Addresses(Conf(both)), "10.4.0.5/24> fd04::5/64> ");
  EXPECT_EQ(Addresses(Conf({{"runtimeConfig", {{"ips", json::array()}}}})), Addresses(Conf()));
}

TEST(Static, RefusesWhatIsWrong) {
  for (const char* text :
       {R"({"name": "n"})", R"({"ipam": 1})", R"({"ipam": {"addresses": 1}})", R"({"ipam": {"addresses": [{}]}})",
        R"({"ipam": {"addresses": [{"address": "10.1.0.5"}]}})",
        R"({"ipam": {"addresses": [{"address": "10.1.0.5/33"}]}})",
        R"({"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1/24"}]}})",
        R"({"ipam": {"routes": [{}]}})", R"({"ipam": {"dns": 1}})",
        R"({"ipam": {}, "runtimeConfig": {"ips": ["10.1.0.5"]}})", R"({"ipam": {}, "args": {"cni": {"ips": [1]}}})"}) {
    auto result = ReadStatic(json::parse(text), {});
    EXPECT_EQ(cni::ToError(result.status()).code, 7U) << text << ": " << result.status();
  }
}

TEST(Static, CheckWantsAddressAndGateway) {
  const cni::Result wanted = ReadStatic(Conf(), {}).value();
  cni::Result present = wanted;
  EXPECT_TRUE(CheckStatic(wanted, present).ok());
  present.ips[1].gateway = cni::IpAddress::Parse("fd00::1").value();  // the main plugin's own choice
  EXPECT_TRUE(CheckStatic(wanted, present).ok());
  present.ips[0].gateway = cni::IpAddress::Parse("10.1.0.9").value();
  EXPECT_FALSE(CheckStatic(wanted, present).ok());
  present.ips.erase(present.ips.begin());
  EXPECT_FALSE(CheckStatic(wanted, present).ok());
}

}  // namespace
}  // namespace wherry::ipam
