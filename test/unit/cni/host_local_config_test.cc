#include "cni/ipam/host_local_config.h"

#include <nlohmann/json.hpp>

#include "api/cni/error.h"
#include "gtest/gtest.h"

namespace wherry::ipam {
namespace {

using nlohmann::json;

TEST(HostLocalConfig, TakesTheOldAndTheNewFormTogether) {
  auto config =
      ReadHostLocalConfig(json::parse(R"({"name": "n", "ipam": {"subnet": "10.1.0.0/24", "gateway": "10.1.0.254",
      "rangeStart": "10.1.0.10", "ranges": [[{"subnet": "fd00::/64"}]], "routes": [{"dst": "0.0.0.0/0"}],
      "dataDir": "/data", "resolvConf": "/etc/resolv.conf"}, "runtimeConfig": {"ipRanges": [[{"subnet": "10.9.0.0/24"}]],
      "ips": ["10.1.0.20/24"]}, "args": {"cni": {"ips": ["fd00::7"]}}})"),
                          Arguments{{{cni::IpAddress::Parse("10.9.0.9").value(), 24}}, {}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->directory, "/data/n");
  ASSERT_EQ(config->ranges.size(), 3U);
  EXPECT_EQ(config->ranges[0][0].ToString(), "10.9.0.1-10.9.0.254");
  EXPECT_EQ(config->ranges[1][0].ToString(), "10.1.0.10-10.1.0.254");
  EXPECT_EQ(config->ranges[1][0].gateway.ToString(), "10.1.0.254");
  EXPECT_EQ(config->requested.size(), 3U);
  EXPECT_EQ(config->routes.size(), 1U);
}

TEST(HostLocalConfig, RefusesWhatIsWrong) {
  for (const char* text :
       {R"({"name": "n"})", R"({"name": "n", "ipam": 1})", R"({"name": "n", "ipam": {}})",
        R"({"name": "n", "ipam": {"subnet": "10.1.0.0"}})", R"({"name": "n", "ipam": {"ranges": [{}]}})",
        R"({"name": "n", "ipam": {"ranges": [[{}]]}})", R"({"name": "n", "ipam": {"ranges": [[]]}})",
        R"({"name": "n", "ipam": {"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "10.1.4.0/24"}]]}})",
        R"({"name": "n", "ipam": {"subnet": "10.1.0.0/24", "routes": [{"gw": "10.1.0.1"}]}})",
        R"({"name": "n", "ipam": {"subnet": "10.1.0.0/24"}, "runtimeConfig": {"ips": ["x"]}})"}) {
    auto config = ReadHostLocalConfig(json::parse(text), {});
    EXPECT_EQ(cni::ToError(config.status()).code, 7U) << text << ": " << config.status();
  }
}

}  // namespace
}  // namespace wherry::ipam
