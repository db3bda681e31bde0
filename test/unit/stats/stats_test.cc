#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cri/stats/convert.h"
#include "cri/stats/metrics.h"
#include "cri/stats/network.h"
#include "cri/stats/rate.h"
#include "cri/stats/writable_layer.h"

namespace wherry::stats {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(Rates, AreUnknownUntilTwoSamplesAreASecondApart) {
  Rates rates;
  EXPECT_EQ(rates.Add("c", 0, 100), std::nullopt);
  EXPECT_EQ(rates.Add("c", kSecond / 2, 200), std::nullopt);
  EXPECT_EQ(rates.Add("c", 2 * kSecond, 100 + 2'000'000), 1'000'000u);
}

TEST(Rates, AreOfTheTwoLastSamplesOnly) {
  Rates rates;
  rates.Add("c", 0, 0);
  EXPECT_EQ(rates.Add("c", kSecond, 500), 500u);
  EXPECT_EQ(rates.Add("c", 2 * kSecond, 500), 0u);
  EXPECT_EQ(rates.Add("other", 2 * kSecond, 500), std::nullopt);
}

TEST(Rates, StartAnewWhenTheCounterWentBack) {
  Rates rates;
  rates.Add("c", 0, 1000);
  EXPECT_EQ(rates.Add("c", kSecond, 10), std::nullopt);
  EXPECT_EQ(rates.Add("c", 2 * kSecond, 30), 20u);
}

TEST(Rates, AreForgottenWhenNobodyAsks) {
  Rates rates;
  rates.Add("c", 0, 0);
  rates.Expire(601 * kSecond);
  EXPECT_EQ(rates.Add("c", 602 * kSecond, 500), std::nullopt);
}

TEST(NetDev, CountsEveryInterfaceButLoopback) {
  auto found = ParseNetDev(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
      "compressed\n"
      "    lo:       1       1    0    0    0     0          0         0        1       1    0    0    0     0       0 "
      "         0\n"
      "  eth0: 1234       10    3    0    0     0          0         0     5678      11    4    0    0     0       0   "
      "       0\n"
      "  bad0: x 1\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "eth0");
  EXPECT_EQ(found[0].rx_bytes, 1234u);
  EXPECT_EQ(found[0].rx_errors, 3u);
  EXPECT_EQ(found[0].tx_bytes, 5678u);
  EXPECT_EQ(found[0].tx_errors, 4u);
}

TEST(NetDev, ReadsThisProcess) { EXPECT_TRUE(ReadInterfaces(getpid()).ok()); }

class WalkTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/wherry-walk-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(WalkTest, CountsHardLinksOnceAndFollowsNoSymlink) {
  std::ofstream(dir_ + "/a") << std::string(100000, 'x') << std::flush;
  ASSERT_EQ(link((dir_ + "/a").c_str(), (dir_ + "/b").c_str()), 0);
  ASSERT_EQ(symlink("/usr", (dir_ + "/usr").c_str()), 0);
  auto use = Walk(dir_);
  ASSERT_TRUE(use.ok()) << use.status();
  EXPECT_EQ(use->inodes, 3u);  // the directory, one file, one symlink
  EXPECT_GE(use->bytes, 100000u);
  EXPECT_LT(use->bytes, 200000u);
}

TEST_F(WalkTest, StopsAtTheBound) {
  for (const char* name : {"/a", "/b", "/c"}) std::ofstream(dir_ + name) << name;
  EXPECT_EQ(Walk(dir_, 3).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Walk(dir_, 4).ok());
}

TEST_F(WalkTest, MissingDirectoryIsAnError) { EXPECT_FALSE(Walk(dir_ + "/nosuch").ok()); }

TEST(Convert, LeavesUnknownUnset) {
  cgroup::Stats stats;
  ::runtime::v1::CpuUsage cpu;
  FillCpu(stats, 5, std::nullopt, cpu);
  EXPECT_FALSE(cpu.has_usage_nano_cores());
  EXPECT_TRUE(cpu.has_usage_core_nano_seconds());
  ::runtime::v1::MemoryUsage memory;
  FillMemory(stats, 5, memory);
  EXPECT_FALSE(memory.has_available_bytes());
  stats.memory_limit = 100;
  stats.memory_working_set = 40;
  FillMemory(stats, 5, memory);
  EXPECT_EQ(memory.available_bytes().value(), 60u);
}

TEST(MetricNames, AreAllAnnouncedWithTheLabelsThatTheyCarry) {
  store::PodRecord pod;
  pod.set_created_at_ns(kSecond);
  store::ContainerRecord container;
  container.set_started_at_ns(kSecond);
  auto& limits = *container.mutable_resources();
  limits.set_cpu_period(1), limits.set_cpu_quota(1), limits.set_cpu_shares(2);
  limits.set_memory_limit_in_bytes(1), limits.set_memory_swap_limit_in_bytes(1);
  cgroup::Stats stats;
  stats.swap_usage = 0;
  const cgroup::Detail detail{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {{}}, {{"2MB", 0, 0}}};
  const cgroup::Pressure pressure{cgroup::Stall{}, cgroup::Stall{}};
  const FileSystem file_system;
  Measured all;
  all.pod = &pod, all.container = &container;
  all.stats = &stats, all.detail = &detail;
  all.pressures = {pressure, pressure, pressure};
  all.processes = 1;
  all.descriptors = Descriptors{};
  all.file_system = &file_system;
  all.disk = DiskUse{};
  all.interfaces = {{"eth0"}};
  all.now_ns = kSecond;
  std::map<std::string, int> announced, sent;
  for (const auto& descriptor : MetricDescriptors()) announced[descriptor.name()] = descriptor.label_keys_size();
  for (const auto& metric : Metrics(all)) sent[metric.name()] = metric.label_values_size();
  EXPECT_EQ(announced, sent);
}

}  // namespace
}  // namespace wherry::stats
