#include "cni/ipam/store.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "api/cni/error.h"
#include "cni/ipam/host_local.h"
#include "gtest/gtest.h"

namespace wherry::ipam {
namespace {

namespace fs = std::filesystem;

class HostLocalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "wherry-cni-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    config_.directory = root_ / "deep" / "net";
  }
  void TearDown() override { fs::remove_all(root_); }

  void SetRange(const char* subnet, const char* start = "", const char* end = "") {
    Range range;
    range.subnet = cni::IpPrefix::Parse(subnet).value();
    range.start = cni::IpAddress::Parse(start).value_or(cni::IpAddress());
    range.end = cni::IpAddress::Parse(end).value_or(cni::IpAddress());
    RangeSet set = {range};
    ASSERT_TRUE(Complete(&set).ok());
    config_.ranges.push_back(set);
  }
  std::string Add(const std::string& id) {
    auto result = Allocate(config_, {id, "eth0"});
    return result.ok() ? result->ips[0].address.ToString() : std::string(result.status().message());
  }
  std::string Read(const std::string& name) {
    std::ifstream file(fs::path(config_.directory) / name);
    return (std::stringstream() << file.rdbuf()).str();
  }
  std::set<std::string> Leases() {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(config_.directory)) {
      if (cni::IpAddress::Parse(entry.path().filename().string()).ok()) out.insert(entry.path().filename());
    }
    return out;
  }

  fs::path root_;
  HostLocalConfig config_;
};

TEST_F(HostLocalTest, WritesTheReferenceFormat) {
  SetRange("10.1.0.0/24");
  EXPECT_EQ(Add("c1"), "10.1.0.2/24");
  EXPECT_EQ(Read("10.1.0.2"), "c1\r\neth0");
  EXPECT_EQ(Read("last_reserved_ip.0"), "10.1.0.2");
  EXPECT_TRUE(fs::exists(fs::path(config_.directory) / "lock"));
  EXPECT_EQ(Leases(), std::set<std::string>({"10.1.0.2"}));
}

TEST_F(HostLocalTest, GoesRoundAndSkipsGatewayAndTaken) {
  SetRange("10.1.0.0/24", "10.1.0.1", "10.1.0.4");
  EXPECT_EQ(Add("c1"), "10.1.0.2/24");
  EXPECT_EQ(Add("c2"), "10.1.0.3/24");
  ASSERT_TRUE(Release(config_, {"c1", "eth0"}).ok());
  EXPECT_EQ(Add("c3"), "10.1.0.4/24");
  EXPECT_EQ(Add("c4"), "10.1.0.2/24");
  EXPECT_EQ(cni::ToError(Allocate(config_, {"c5", "eth0"}).status()).code, 11U);
  EXPECT_EQ(cni::ToError(Ready(config_)).code, 50U);
  ASSERT_TRUE(Release(config_, {"c2", "eth0"}).ok());
  EXPECT_TRUE(Ready(config_).ok());
  EXPECT_EQ(Add("c6"), "10.1.0.3/24");
}

TEST_F(HostLocalTest, OneAddressForOneAttachment) {
  SetRange("10.1.0.0/24");
  Add("c1");
  EXPECT_EQ(cni::ToError(Allocate(config_, {"c1", "eth0"}).status()).code, 7U);
  EXPECT_TRUE(Allocate(config_, {"c1", "eth1"}).ok());
  ASSERT_TRUE(Release(config_, {"c1", "eth1"}).ok());
  EXPECT_EQ(Leases(), std::set<std::string>({"10.1.0.2"}));
}

TEST_F(HostLocalTest, AFailureGivesBackWhatWasTaken) {
  SetRange("10.1.0.0/24");
  SetRange("fd00::/64", "fd00::5", "fd00::5");
  EXPECT_EQ(Add("c1"), "10.1.0.2/24");
  EXPECT_FALSE(Allocate(config_, {"c2", "eth0"}).ok());
  EXPECT_EQ(Leases(), std::set<std::string>({"10.1.0.2", "fd00::5"}));
}

TEST_F(HostLocalTest, RequestedAddresses) {
  SetRange("10.1.0.0/24");
  config_.requested = {cni::IpAddress::Parse("10.1.0.77").value()};
  EXPECT_EQ(Add("c1"), "10.1.0.77/24");
  EXPECT_EQ(cni::ToError(Allocate(config_, {"c2", "eth0"}).status()).code, 11U);
  config_.requested = {cni::IpAddress::Parse("10.1.0.1").value()};
  EXPECT_EQ(cni::ToError(Allocate(config_, {"c2", "eth0"}).status()).code, 7U);
  config_.requested = {cni::IpAddress::Parse("10.2.0.1").value()};
  EXPECT_EQ(cni::ToError(Allocate(config_, {"c2", "eth0"}).status()).code, 7U);
  EXPECT_EQ(Leases(), std::set<std::string>({"10.1.0.77"}));
}

TEST_F(HostLocalTest, AnEmptyLeaseOfAKilledWriterIsFree) {
  SetRange("10.1.0.0/24", "10.1.0.2", "10.1.0.2");
  fs::create_directories(config_.directory);
  std::ofstream(fs::path(config_.directory) / "10.1.0.2").close();
  EXPECT_EQ(Add("c1"), "10.1.0.2/24");
}

TEST_F(HostLocalTest, LeasesOfOldVersionsHaveNoInterface) {
  SetRange("10.1.0.0/24");
  fs::create_directories(config_.directory);
  std::ofstream(fs::path(config_.directory) / "10.1.0.9") << "c1";
  EXPECT_TRUE(Check(config_, {"c1", "eth0"}).ok());
  ASSERT_TRUE(Release(config_, {"c1", "eth0"}).ok());
  EXPECT_TRUE(Leases().empty());
}

TEST_F(HostLocalTest, CollectKeepsTheValidOnes) {
  SetRange("10.1.0.0/24");
  Add("c1"), Add("c2"), Add("c3");
  ASSERT_TRUE(Collect(config_, {{"c2", "eth0"}, {"c3", "eth9"}}).ok());
  EXPECT_EQ(Leases(), std::set<std::string>({"10.1.0.3"}));
  EXPECT_EQ(cni::ToError(Check(config_, {"c1", "eth0"})).code, 3U);
}

TEST_F(HostLocalTest, ResolvConf) {
  SetRange("10.1.0.0/24");
  config_.resolv_conf = root_ / "resolv.conf";
  std::ofstream(config_.resolv_conf)
      << "# c\nnameserver 10.0.0.1\nsearch a b\n; x\ndomain d\noptions ndots:2\nnameserver\n";
  auto result = Allocate(config_, {"c1", "eth0"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->dns.nameservers, std::vector<std::string>({"10.0.0.1"}));
  EXPECT_EQ(result->dns.search, std::vector<std::string>({"a", "b"}));
  EXPECT_EQ(result->dns.domain, "d");
  config_.resolv_conf = root_ / "missing";
  EXPECT_FALSE(Allocate(config_, {"c2", "eth0"}).ok());
}

}  // namespace
}  // namespace wherry::ipam
