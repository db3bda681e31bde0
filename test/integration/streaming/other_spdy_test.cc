// The same protocol as somebody else wrote it down: npm's spdy-transport under node. Both are fetched, in this version, when the test
// runs first; where there is no node or no registry, it is skipped.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "test/integration/streaming/support.h"

namespace wherry::streaming::test {
namespace {

constexpr char kModules[] = WHERRY_BUILD_DIR "/spdy-transport";
constexpr char kPackage[] = "spdy-transport@3.0.0";

class OtherSpdyTest : public ServerTest {};

TEST_F(OtherSpdyTest, AnotherImplementationOfSpdyIsUnderstood) {
  const std::string out = testing::TempDir() + "/spdy-transport-" + std::to_string(::getpid());
  const bool there = std::filesystem::exists(std::string(kModules) + "/node_modules/spdy-transport/package.json") ||
                     RunProgram({"npm", "install", "--silent", "--no-audit", "--no-fund", "--fetch-retries=1",
                                 "--fetch-timeout=20000", "--prefix", kModules, kPackage},
                                out) == 0;
  if (!there) GTEST_SKIP() << "there is no npm, or it cannot fetch " << kPackage;
  ::setenv("NODE_PATH", (std::string(kModules) + "/node_modules").c_str(), 1);
  const std::string url = Exec({"sh", "-c", "cat; echo seen >&2; exit 4"}, {true, true, true, false});
  const std::string script = WHERRY_SOURCE_DIR "/test/integration/streaming/spdy_transport.js";
  EXPECT_EQ(RunProgram({"timeout", "60", "node", script, url, "8000000"}, out), 0);
  std::ifstream in(out);
  const auto result = nlohmann::json::parse(in, nullptr, false);
  std::filesystem::remove(out);
  ASSERT_TRUE(result.is_object());
  EXPECT_EQ(result["stdout"], result["sent"]);
  EXPECT_EQ(result["stderr"], "seen\n");
  EXPECT_THAT(result["status"].get<std::string>(), testing::HasSubstr(R"("message":"4")"));
  EXPECT_EQ(result["ponged"], true);
  EXPECT_EQ(result["errors"], nlohmann::json::array()) << result;
}

}  // namespace
}  // namespace wherry::streaming::test
