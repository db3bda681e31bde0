// Absurd limits are named; v1 units become the v2 values that runtimes and the kubelet agreed on.

#include "runtime/cgroup/limits.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/cgroup/device_filter.h"
#include "runtime/cgroup/stats.h"

namespace wherry::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(CpuWeightTest, MapsBothEndsAndBothDefaults) {
  EXPECT_EQ(CpuWeight(2), 1u);
  EXPECT_EQ(CpuWeight(1024), 100u);
  EXPECT_EQ(CpuWeight(262144), 10000u);
  EXPECT_EQ(CpuWeight(0), 1u);
  EXPECT_EQ(CpuWeight(1 << 30), 10000u);
}

TEST(CpuWeightTest, NeverFallsWhenSharesGrow) {
  for (uint64_t shares = 2, last = 0; shares <= 262144; shares += shares / 50 + 1) {
    const uint64_t weight = CpuWeight(shares);
    EXPECT_GE(weight, last) << shares;
    EXPECT_LE(weight, 10000u);
    last = weight;
  }
}

TEST(IoWeightTest, CoversTheWholeRange) {
  EXPECT_EQ(IoWeight(10), 1u);
  EXPECT_EQ(IoWeight(1000), 10000u);
}

TEST(SwapMaxTest, IsTheSumLessTheMemory) {
  EXPECT_EQ(*SwapMax(300, 100), "200");
  EXPECT_EQ(*SwapMax(100, 100), "0");
  EXPECT_EQ(*SwapMax(-1, 100), "max");
  EXPECT_EQ(SwapMax(50, 100).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SwapMax(50, -1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ParseListTest, ReadsNumbersAndRanges) {
  EXPECT_THAT(*ParseList("0-2,7\n"), ElementsAre(0, 1, 2, 7));
  EXPECT_THAT(*ParseList("3,1,1"), ElementsAre(1, 3));
  EXPECT_THAT(*ParseList(""), ElementsAre());
  for (const char* bad : {"a", "1-", "-1", "3-1", "1-2-3", "0-4294967295", "99999999999"})
    EXPECT_FALSE(ParseList(bad).ok()) << bad;
}

TEST(StatsTest, KeysAreComparedWhole) {
  const char* text = "total_rss_huge 1\ntotal_rss 2\nrss 3\n";
  EXPECT_EQ(KeyedNumber(text, "rss"), 3u);
  EXPECT_EQ(KeyedNumber(text, "total_rss"), 2u);
  EXPECT_EQ(KeyedNumber(text, "total"), std::nullopt);
  EXPECT_EQ(WorkingSet(10, 4), 6u);
  EXPECT_EQ(WorkingSet(4, 10), 0u);
}

struct Absurd {
  const char* field;
  void (*set)(Resources&);
};

class AbsurdLimitTest : public ::testing::TestWithParam<Absurd> {};

TEST_P(AbsurdLimitTest, IsRefusedByItsName) {
  Resources r;
  GetParam().set(r);
  absl::Status status = CheckResources(r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), StartsWith(GetParam().field));
}

INSTANTIATE_TEST_SUITE_P(
    All, AbsurdLimitTest,
    ::testing::Values(
        Absurd{"memory_limit -5", [](Resources& r) { r.memory_limit = -5; }},
        Absurd{"memory_limit 100", [](Resources& r) { r.memory_limit = 100; }},
        Absurd{"memory_swap_limit 4096", [](Resources& r) { r.memory_limit = 8192, r.memory_swap_limit = 4096; }},
        Absurd{"memory_swap_limit 8192", [](Resources& r) { r.memory_limit = -1, r.memory_swap_limit = 8192; }},
        Absurd{"cpu_shares 1", [](Resources& r) { r.cpu_shares = 1; }},
        Absurd{"cpu_shares 262145", [](Resources& r) { r.cpu_shares = 262145; }},
        Absurd{"cpu_period 999", [](Resources& r) { r.cpu_period = 999; }},
        Absurd{"cpu_quota 10", [](Resources& r) { r.cpu_quota = 10; }},
        Absurd{"cpu_quota -2", [](Resources& r) { r.cpu_quota = -2; }},
        Absurd{"cpuset_cpus x", [](Resources& r) { r.cpuset_cpus = "x"; }},
        Absurd{"cpuset_mems 1-0", [](Resources& r) { r.cpuset_mems = "1-0"; }},
        Absurd{"pids_limit -2", [](Resources& r) { r.pids_limit = -2; }},
        Absurd{"pids_limit 5000000", [](Resources& r) { r.pids_limit = 5000000; }},
        Absurd{"hugepage_limits 2M",
               [](Resources& r) {
                 r.hugepage_limits = {{"2M", 0}};
               }},
        Absurd{"hugepage_limits ../x",
               [](Resources& r) {
                 r.hugepage_limits = {{"../x", 0}};
               }},
        Absurd{"io_weight 9", [](Resources& r) { r.io_weight = 9; }},
        Absurd{"io_limits sda", [](Resources& r) { r.io_limits.push_back({.device = "sda"}); }},
        Absurd{"unified[\"cgroup.procs\"]", [](Resources& r) { r.unified["cgroup.procs"] = "1"; }},
        Absurd{"unified[\"cgroup.kill\"]", [](Resources& r) { r.unified["cgroup.kill"] = "1"; }},
        Absurd{"unified[\"../memory.max\"]", [](Resources& r) { r.unified["../memory.max"] = "1"; }},
        Absurd{"unified[\"memoryx.max\"]", [](Resources& r) { r.unified["memoryx.max"] = "1"; }},
        Absurd{"unified[\"memory\"]", [](Resources& r) { r.unified["memory"] = "1"; }},
        Absurd{"unified[\"\"]", [](Resources& r) { r.unified[""] = "1"; }},
        Absurd{"unified[\"memory.max\"]", [](Resources& r) { r.unified["memory.max"] = ""; }}));

TEST(CheckResourcesTest, TakesWhatTheKubeletSends) {
  Resources r;
  EXPECT_TRUE(CheckResources(r).ok());
  r.cpu_shares = 2, r.cpu_quota = 0, r.cpu_period = 100000;
  r.memory_limit = 64 << 20, r.memory_swap_limit = 64 << 20;
  r.hugepage_limits = {{"2MB", 0}, {"1GB", 0}, {"64KB", 0}};
  r.unified = {{"memory.oom.group", "1"}, {"memory.swap.max", "0"}};
  EXPECT_TRUE(CheckResources(r).ok()) << CheckResources(r);
}

TEST(DeviceRulesTest, BadRulesAreNamed) {
  EXPECT_TRUE(CheckDeviceRules({{'c', 1, 3, "rwm"}, {'b', -1, -1, "m"}, {'a', -1, -1, "r"}}).ok());
  for (const DeviceRule& bad : {DeviceRule{'x', 1, 3, "rwm"}, DeviceRule{'c', 1, 3, ""}, DeviceRule{'c', 1, 3, "rx"},
                                DeviceRule{'c', -2, 3, "r"}, DeviceRule{'c', 1 << 20, 3, "r"}}) {
    EXPECT_EQ(CheckDeviceRules({bad}).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(CheckDeviceRules({bad}).message()), HasSubstr("device rule"));
  }
}

}  // namespace
}  // namespace wherry::cgroup
