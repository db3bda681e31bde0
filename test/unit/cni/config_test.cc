#include "api/cni/config.h"

#include <nlohmann/json.hpp>

#include "api/cni/error.h"
#include "gtest/gtest.h"

namespace wherry::cni {
namespace {

uint32_t CodeOf(const absl::Status& status) { return ToError(status).code; }

TEST(ConfigList, ReadsAListOfPlugins) {
  auto list = ParseConfigList(R"({"cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.1.0", "9.0.0"], "name": "pods",
      "disableCheck": true, "plugins": [{"type": "bridge", "bridge": "cni0", "own": {"a": 1}},
      {"type": "portmap", "capabilities": {"portMappings": true}}]})");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->version, "1.1.0");
  EXPECT_EQ(list->name, "pods");
  EXPECT_TRUE(list->disable_check);
  EXPECT_FALSE(list->disable_gc);
  ASSERT_EQ(list->plugins.size(), 2U);
  EXPECT_EQ(list->plugins[0].type, "bridge");
  EXPECT_TRUE(list->plugins[1].capabilities.at("portMappings"));
}

struct BadCase {
  const char* text;
  ErrorCode code;
};

TEST(ConfigList, NamesWhatIsWrong) {
  const BadCase cases[] = {
      {"{", ErrorCode::kDecodingFailure},
      {"[]", ErrorCode::kDecodingFailure},
      {R"({"cniVersion": "0.2.0", "name": "a", "plugins": [{"type": "b"}]})", ErrorCode::kIncompatibleVersion},
      {R"({"name": "a", "plugins": [{"type": "b"}]})", ErrorCode::kIncompatibleVersion},
      {R"({"cniVersion": "1.0.0", "plugins": [{"type": "b"}]})", ErrorCode::kInvalidConfig},
      {R"({"cniVersion": "1.0.0", "name": "a/b", "plugins": [{"type": "b"}]})", ErrorCode::kInvalidConfig},
      {R"({"cniVersion": "1.0.0", "name": "a"})", ErrorCode::kInvalidConfig},
      {R"({"cniVersion": "1.0.0", "name": "a", "plugins": []})", ErrorCode::kInvalidConfig},
      {R"({"cniVersion": "1.0.0", "name": "a", "plugins": [{}]})", ErrorCode::kInvalidConfig},
      {R"({"cniVersion": "1.0.0", "name": "a", "plugins": ["b"]})", ErrorCode::kInvalidConfig},
      {R"({"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "../../bin/sh"}]})", ErrorCode::kInvalidConfig},
      {R"({"cniVersion": 1, "name": "a", "plugins": [{"type": "b"}]})", ErrorCode::kInvalidConfig},
  };
  for (const BadCase& bad : cases)
    EXPECT_EQ(CodeOf(ParseConfigList(bad.text).status()), static_cast<uint32_t>(bad.code)) << bad.text;
}

TEST(ConfigList, BoundsDepthAndSize) {
  const std::string deep = R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_EQ(CodeOf(ParseConfigList(deep).status()), 6U);
  EXPECT_EQ(CodeOf(ParseConfigList(std::string((1 << 20) + 1, ' ')).status()), 6U);
}

TEST(Request, HasWhatThePluginDeclaredAndWhatItOwns) {
  auto list = ParseConfigList(R"({"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "portmap", "snat": true,
      "capabilities": {"portMappings": true, "mac": false}, "runtimeConfig": {"mac": "x"}}]})");
  ASSERT_TRUE(list.ok()) << list.status();
  RequestParameters parameters;
  parameters.runtime_config = {{"portMappings", "[{\"hostPort\":1}]"}, {"mac", "\"y\""}, {"bandwidth", "{}"}};
  parameters.prev_result = R"({"cniVersion": "1.0.0"})";
  auto request = MakeRequest(*list, list->plugins[0], parameters);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(nlohmann::json::parse(*request),
            nlohmann::json::parse(R"({"cniVersion": "1.0.0", "name": "pods", "type": "portmap", "snat": true,
                "runtimeConfig": {"portMappings": [{"hostPort": 1}]}, "prevResult": {"cniVersion": "1.0.0"}})"));
}

TEST(Request, ListsValidAttachmentsForGc) {
  auto list = ParseSingleConfig(R"({"cniVersion": "1.1.0", "name": "pods", "type": "bridge"})");
  ASSERT_TRUE(list.ok()) << list.status();
  const std::vector<Attachment> attachments = {{"c1", "eth0"}};
  RequestParameters parameters;
  parameters.valid_attachments = &attachments;
  auto request = MakeRequest(*list, list->plugins[0], parameters);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(nlohmann::json::parse(*request)["cni.dev/valid-attachments"],
            nlohmann::json::parse(R"([{"containerID": "c1", "ifname": "eth0"}])"));
}

}  // namespace
}  // namespace wherry::cni
