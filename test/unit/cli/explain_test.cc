#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cri/cli/commands.h"

namespace wherry::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ExplainTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_ + "/certs.d/docker.io");
    Write("config.toml", "[registry]\nconfig_path = \"" + dir_ + "/certs.d\"\n");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& text) { std::ofstream(dir_ + "/" + name) << text; }

  std::string Explain(const std::string& image, Output output = Output::kTable) {
    testing::internal::CaptureStdout();
    auto code = ExplainImage(image, dir_ + "/config.toml", output);
    const std::string out = testing::internal::GetCapturedStdout();
    return code.ok() ? out : std::string(code.status().message());
  }

  const std::string dir_ = testing::TempDir() + "/explain-" + std::to_string(getpid());
};

TEST_F(ExplainTest, WithoutConfigurationTheRegistryItself) {
  const std::string text = Explain("quay.io/a/b");
  EXPECT_THAT(text, HasSubstr("quay.io/a/b:latest is asked for at, in order:\n1. https://quay.io/v2\n"));
  EXPECT_THAT(text, AllOf(HasSubstr("said by             default\n"), HasSubstr("verified by the system's roots\n"),
                          HasSubstr("credentials         those that come with the pull\n"), Not(HasSubstr("2. "))));
  EXPECT_THAT(Explain("localhost:5000/a"), HasSubstr("1. http://localhost:5000/v2\n"));
}

TEST_F(ExplainTest, MirrorsInOrderWithoutSecrets) {
  Write("ca.pem", "roots");
  Write("certs.d/docker.io/both.pem", "PRIVATE-KEY");
  Write("certs.d/docker.io/hosts.toml", R"(
[host."https://mirror.example:5000"]
  capabilities = ["pull"]
  ca = ")" + dir_ + R"(/ca.pem"
  client = "both.pem"
  dial_timeout = "5s"
  [host."https://mirror.example:5000".header]
    authorization = "Basic c2VjcmV0"
[host."https://other.example"]
  skip_verify = true
)");
  const std::string text = Explain("busybox");
  const size_t first = text.find("1. https://mirror.example:5000/v2\n"),
               second = text.find("2. https://other.example/v2\n"),
               third = text.find("3. https://registry-1.docker.io/v2\n");
  ASSERT_NE(first, std::string::npos) << text;
  ASSERT_NE(second, std::string::npos) << text;
  ASSERT_NE(third, std::string::npos) << text;
  EXPECT_THAT(text.substr(first, second - first),
              AllOf(HasSubstr("mirror, told ?ns=docker.io\n"), HasSubstr("what has a digest, not the tag\n"),
                    HasSubstr("credentials         never\n"), HasSubstr("roots and " + dir_ + "/ca.pem\n"),
                    HasSubstr(dir_ + "/certs.d/docker.io/both.pem\n"), HasSubstr("authorization (values not shown)\n"),
                    HasSubstr("5s\n"), HasSubstr(dir_ + "/certs.d/docker.io/hosts.toml\n")));
  EXPECT_THAT(text.substr(second, third - second), HasSubstr("not verified (skip_verify)\n"));
  EXPECT_THAT(text.substr(third), HasSubstr("those that come with the pull\n"));
  const std::string json = Explain("busybox", Output::kJson);
  EXPECT_EQ(nlohmann::json::parse(json)["hosts"][0]["headers"][0], "authorization");
  for (const std::string& out : {text, json})
    EXPECT_THAT(out, AllOf(Not(HasSubstr("c2VjcmV0")), Not(HasSubstr("PRIVATE"))));
}

TEST_F(ExplainTest, RefusesWhatAPullWould) {
  Write("certs.d/docker.io/hosts.toml", "skip_verfy = true\n");
  EXPECT_THAT(Explain("busybox"), HasSubstr("skip_verfy: unknown key"));
  EXPECT_THAT(Explain("bad/UPPER"), HasSubstr("UPPER"));
  Write("config.toml", "[registry]\nconfig = 1\n");
  EXPECT_THAT(Explain("quay.io/a"), HasSubstr("\"registry.config\" is unknown"));
}

}  // namespace
}  // namespace wherry::cli
