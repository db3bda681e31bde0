// The package's scripts, run by dpkg on a node with pods.

#include <filesystem>

#include "test/node/node.h"

namespace wherry::node {
namespace {

constexpr char kPackage[] = "/wherry.deb";  // hack/node-image leaves it there

class PackageTest : public WitnessedTest {};

// dpkg does the same steps for the version that is there as for another.
TEST_F(PackageTest, UpgradeStartsTheNewDaemonAndKeepsPods) {
  const std::string old = Unit("MainPID");
  Do({"dpkg", "--install", kPackage});
  EXPECT_NE(Unit("MainPID"), old);
  EXPECT_EQ(Do({"dpkg", "--verify", "wherry"}), "");
}

TEST_F(PackageTest, UpgradeDoesNotStartWhatWasStopped) {
  Do({"systemctl", "stop", "wherryd"});
  Do({"dpkg", "--install", kPackage});
  EXPECT_EQ(Unit("ActiveState"), "inactive");
  Do({"systemctl", "start", "wherryd"});
}

TEST_F(PackageTest, RemovalKeepsPodsAndAnInstallationFindsThem) {
  Do({"dpkg", "--remove", "wherry"});
  EXPECT_FALSE(std::filesystem::exists("/usr/bin/wherryd"));
  witnesses().ExpectAlive();
  Do({"dpkg", "--install", kPackage});
  EXPECT_EQ(Unit("ActiveState"), "active");
  EXPECT_EQ(Unit("UnitFileState"), "enabled");
}

}  // namespace
}  // namespace wherry::node
