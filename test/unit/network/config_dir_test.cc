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

// Specification 1.1.0: plugins in a folder named after the network, unless the document has loadOnlyInlinedPlugins.
TEST_F(ConfigDirTest, AFolderOfTheNetworksNameAddsPlugins) {
  std::filesystem::create_directories(dir_ + "/net.d/a");
  Write("net.d/a/20-second.conf", R"({"type":"portmap"})");
  Write("net.d/a/10-first.conf", R"({"type":"tuning","mtu":1400})");
  Write("net.d/a/readme.json", R"({"type":"no"})");
  const auto types = [&] {
    auto loaded = configs_.Current();
    if (!loaded.ok()) return std::string(loaded.status().message());
    std::string out;
    for (const auto& plugin : (*loaded)->list.plugins) out += plugin.type + " ";
    return out;
  };
  Write("net.d/10-a.conflist", List("a"));
  EXPECT_EQ(types(), "bridge tuning portmap ");
  // What the result cache keeps has all of them.
  auto cached = ParseConfig((*configs_.Current())->text, false);
  ASSERT_TRUE(cached.ok()) << cached.status();
  EXPECT_EQ((*cached)->list.plugins.size(), 3U);
  Write("net.d/10-a.conflist", R"({"cniVersion":"1.1.0","name":"a"})");
  EXPECT_EQ(types(), "tuning portmap ");
  Write("net.d/10-a.conflist",
        R"({"cniVersion":"1.1.0","name":"a","loadOnlyInlinedPlugins":"true","plugins":[{"type":"ptp"}]})");
  EXPECT_EQ(types(), "ptp ");
  Write("net.d/10-a.conflist", R"({"cniVersion":"1.1.0","name":"a","loadOnlyInlinedPlugins":true})");
  EXPECT_THAT(types(), HasSubstr("no plugin"));
  Write("net.d/10-a.conflist", List("a"));
  Write("net.d/a/30-bad.conf", R"({"type":"../../bin/sh"})");
  EXPECT_THAT(types(), HasSubstr("not a plugin's file name"));
}

TEST_F(ConfigDirTest, SeveralNetworksInOrderAndNoNameTwice) {
  ConfigDir two(dir_ + "/net.d", 2);
  Write("net.d/10-a.conflist", List("a"));
  Write("net.d/20-a.conflist", List("a"));
  Write("net.d/30-broken.conflist", "{");
  Write("net.d/40-b.conflist", List("b"));
  Write("net.d/50-c.conflist", List("c"));
  auto all = two.All();
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0]->list.name + (*all)[1]->list.name, "ab");
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
