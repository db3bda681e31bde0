#include "api/cni/result.h"

#include <nlohmann/json.hpp>

#include "api/cni/error.h"
#include "gtest/gtest.h"

namespace wherry::cni {
namespace {

constexpr char kModern[] = R"({"cniVersion": "1.1.0",
  "interfaces": [{"name": "cni0", "mac": "00:11:22:33:44:55", "mtu": 1400}, {"name": "eth0", "sandbox": "/run/netns/a"}],
  "ips": [{"interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}],
  "routes": [{"dst": "0.0.0.0/0"}, {"dst": "fd01::/64", "gw": "fd00::1", "mtu": 1300, "priority": 5, "table": 100, "scope": 0}],
  "dns": {"nameservers": ["10.1.0.1"], "domain": "d", "search": ["s"], "options": ["o"]}})";

TEST(Result, PrintsWhatItParsed) {
  auto result = ParseResult(kModern);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(nlohmann::json::parse(PrintResult(*result, "1.1.0")), nlohmann::json::parse(kModern));
}

TEST(Result, OldVersionsNameTheFamilyAndHaveSmallInterfaces) {
  auto result = ParseResult(kModern);
  ASSERT_TRUE(result.ok()) << result.status();
  const auto old = nlohmann::json::parse(PrintResult(*result, "0.3.1"));
  EXPECT_EQ(old["cniVersion"], "0.3.1");
  EXPECT_EQ(old["ips"][0]["version"], "4");
  EXPECT_EQ(old["ips"][1]["version"], "6");
  EXPECT_FALSE(old["interfaces"][0].contains("mtu"));
}

TEST(Result, NamesThePathOfABadField) {
  auto result = ParseResult(R"({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.1/8"}, {"address": "x"}]})");
  EXPECT_EQ(ToError(result.status()).code, 7U);
  EXPECT_NE(result.status().message().find("ips[1].address"), absl::string_view::npos) << result.status();
  EXPECT_EQ(ToError(ParseResult(R"({"cniVersion": "0.2.0"})").status()).code, 1U);
}

TEST(ErrorDocument, SurvivesTheWayThroughAStatus) {
  const Error error = ToError(ToStatus({11, "busy", "later"}));
  EXPECT_EQ(error.code, 11U);
  EXPECT_EQ(error.msg, "busy: later");
  auto parsed = ParseError(PrintError({7, "m", "d"}, "1.0.0"));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->code, 7U);
  EXPECT_EQ(parsed->details, "d");
  EXPECT_EQ(ToError(absl::InternalError("x")).code, 999U);
}

TEST(ErrorDocument, PrintsBytesThatAreNoText) {
  EXPECT_TRUE(nlohmann::json::accept(PrintError({7, "\xff\xfe", ""}, "1.0.0")));
}

}  // namespace
}  // namespace wherry::cni
