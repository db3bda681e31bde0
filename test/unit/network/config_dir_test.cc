#include "cri/network/config_dir.h"

#include <gmock/gmock.h>

#include "test/unit/network/fixture.h"

namespace wherry::network {
namespace {

using testing::HasSubstr;

std::string List(const std::string& name) {
  return R"({"cniVersion":"1.0.0","name":")" + name + R"(","plugins":[{"type":"bridge"}]})";
}

class ConfigDirTest : public Scratch {
 protected:
  std::string Name() {
    auto loaded = configs_.Current();
    return loaded.ok() ? (*loaded)->list.name : std::string(loaded.status().message());
  }
  ConfigDir configs_{dir_ + "/net.d"};
};

TEST_F(ConfigDirTest, TheFirstInLexicalOrderOfAllThreeKindsCounts) {
  Write("net.d/30-c.conflist", List("c"));
  EXPECT_EQ(Name(), "c");
  Write("net.d/20-b.json", R"({"cniVersion":"1.0.0","name":"b","type":"bridge"})");
  EXPECT_EQ(Name(), "b");
  Write("net.d/10-a.conf", R"({"cniVersion":"0.4.0","name":"a","type":"bridge"})");
  EXPECT_EQ(Name(), "a");
  Write("net.d/00-other.txt", List("other"));
  Write("net.d/01-backup.conflist~", List("backup"));
  EXPECT_EQ(Name(), "a");
}

TEST_F(ConfigDirTest, TheConflistForNodesWithoutANetworkOfTheirOwnIsValid) {
  auto loaded = ConfigDir(WHERRY_MANIFESTS).Current();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->list.name, "wherry");
  EXPECT_FALSE((*loaded)->single);
}

TEST_F(ConfigDirTest, BrokenFilesArePassedOver) {
  Write("net.d/10-half.conflist", R"({"cniVersion":"1.0.0","na)");
  std::filesystem::create_directory(dir_ + "/net.d/11-directory.conf");
  Write("net.d/20-good.conflist", List("good"));
  EXPECT_EQ(Name(), "good");
}

TEST_F(ConfigDirTest, WithoutAValidFileTheErrorNamesDirectoryFileAndFault) {
  auto loaded = configs_.Current();
  EXPECT_TRUE(absl::IsFailedPrecondition(loaded.status()));
  EXPECT_THAT(Name(), HasSubstr(dir_ + "/net.d"));
  Write("net.d/10-a.conflist", R"({"cniVersion":"9.9.9","name":"a","plugins":[{"type":"bridge"}]})");
  EXPECT_THAT(Name(), HasSubstr("10-a.conflist"));
  EXPECT_THAT(Name(), HasSubstr("9.9.9"));
}

TEST_F(ConfigDirTest, AMissingDirectoryIsAnErrorUntilItAppears) {
  std::filesystem::remove(dir_ + "/net.d");
  EXPECT_THAT(Name(), HasSubstr("no valid CNI network configuration"));
  std::filesystem::create_directory(dir_ + "/net.d");
  Write("net.d/10-a.conflist", List("a"));
  EXPECT_EQ(Name(), "a");
}

// CVE-2021-20206: a type with a slash would run a program outside the plugin directories.
TEST_F(ConfigDirTest, PluginTypesThatAreNoFileNamesAreRefused) {
  for (const char* type : {"../../bin/sh", "/bin/sh", "..", "", "a/b"})
    EXPECT_FALSE(
        ParseConfig(R"({"cniVersion":"1.0.0","name":"a","plugins":[{"type":")" + std::string(type) + R"("}]})", false)
            .ok())
        << type;
}

}  // namespace
}  // namespace wherry::network
