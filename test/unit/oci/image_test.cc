#include "api/oci/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kDigest[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string WithConfig(const std::string& config) {
  return absl::StrCat(R"({"architecture":"amd64","os":"linux","config":)", config,
                      R"(,"rootfs":{"type":"layers","diff_ids":[")", kDigest, "\"]}}");
}

void ExpectInvalid(const std::string& text, const std::string& message) {
  absl::StatusOr<ImageConfig> config = ParseImageConfig(text);
  EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << text << ": " << config.status();
  EXPECT_THAT(std::string(config.status().message()), HasSubstr(message)) << text;
}

TEST(ImageConfigTest, ReadsWhatRunsAContainer) {
  auto config = ParseImageConfig(WithConfig(
      R"({"User":"1000:100","Env":["A=b","C="],"Entrypoint":["/init"],"Cmd":["a","b"],"WorkingDir":"/srv","StopSignal":"15",
          "Volumes":{"/z":{},"/a":{}},"Labels":{"x":"y"},"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["NONE"]}})"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->architecture, "amd64");
  EXPECT_EQ(config->user, "1000:100");
  EXPECT_THAT(config->env, ElementsAre("A=b", "C="));
  EXPECT_THAT(config->entrypoint, ElementsAre("/init"));
  EXPECT_THAT(config->cmd, ElementsAre("a", "b"));
  EXPECT_EQ(config->working_dir, "/srv");
  EXPECT_EQ(config->stop_signal, "15");
  EXPECT_THAT(config->volumes, ElementsAre("/a", "/z"));
  EXPECT_EQ(config->labels.at("x"), "y");
  EXPECT_THAT(config->diff_ids, ElementsAre(kDigest));
}

TEST(ImageConfigTest, TakesGoNullsForEmptyLists) {
  auto config =
      ParseImageConfig(WithConfig(R"({"Env":null,"Cmd":null,"Entrypoint":null,"Volumes":null,"Labels":null})"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->env, IsEmpty());
  EXPECT_TRUE(ParseImageConfig(WithConfig("null")).ok());
}

TEST(ImageConfigTest, RefusesWrongTypesAndValues) {
  ExpectInvalid("", "malformed");
  ExpectInvalid("[]", "not an object");
  ExpectInvalid("{}", "no \"rootfs\"");
  ExpectInvalid("7", "neither an object nor an array");
  ExpectInvalid(WithConfig("[]"), "\"config\" is not an object");
  ExpectInvalid(WithConfig(R"({"Env":"A=1"})"), "\"Env\" is not a list");
  ExpectInvalid(WithConfig(R"({"Env":[1]})"), "\"Env\" is not a list of strings");
  ExpectInvalid(WithConfig(R"({"User":0})"), "\"User\" is not a string");
  ExpectInvalid(WithConfig(R"({"Cmd":["a\u0000b"]})"), "NUL");
  ExpectInvalid(WithConfig(R"({"WorkingDir":"a\u0000b"})"), "NUL");
  ExpectInvalid(R"({"rootfs":{"type":"zip","diff_ids":[]}})", "not \"layers\"");
  ExpectInvalid(R"({"rootfs":{"type":"layers","diff_ids":["sha256:x"]}})", "is no digest");
  ExpectInvalid(
      R"({"rootfs":{"type":"layers","diff_ids":["sha256:../../../../../../etc/passwd/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}})",
      "is no digest");
}

TEST(ImageConfigTest, BoundsSizeAndDepth) {
  ExpectInvalid(std::string(kMaxConfigBytes + 1, ' '), "at most");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "[";
  ExpectInvalid(deep, "nested deeper");
  std::string many = "\"A=1\"";
  for (int i = 0; i < 5000; ++i) many += ",\"A=1\"";
  ExpectInvalid(WithConfig(absl::StrCat(R"({"Env":[)", many, "]}")), "Env has 5001 entries");
  // Brackets inside strings are text.
  EXPECT_TRUE(ParseImageConfig(WithConfig(absl::StrCat(R"({"User":")", std::string(200, '['), R"(\""})"))).ok());
}

}  // namespace
}  // namespace wherry::oci
