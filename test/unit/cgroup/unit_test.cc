#include "runtime/cgroup/unit.h"

#include <gmock/gmock.h>

#include "runtime/cgroup/v2_limits.h"

namespace wherry::cgroup {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kInfinity = ~uint64_t{0};

TEST(SliceNames, EachDashIsALevel) {
  EXPECT_EQ(*ExpandSlice("kubepods-burstable-podU_1.slice"),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_1.slice");
  EXPECT_EQ(*ExpandSlice("wherry.slice"), "/wherry.slice");
  EXPECT_EQ(*ExpandSlice("-.slice"), "/");
}

TEST(SliceNames, WhatIsNoSliceIsRefused) {
  for (const char* bad : {"", ".slice", "a.scope", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", "a b.slice"})
    EXPECT_TRUE(absl::IsInvalidArgument(ExpandSlice(bad).status())) << bad;
}

TEST(SliceNames, ANameAndItsWholePathAreTheSame) {
  EXPECT_EQ(*SlicePath("a-b.slice"), "/a.slice/a-b.slice");
  EXPECT_EQ(*SlicePath("/a.slice/a-b.slice"), "/a.slice/a-b.slice");
  EXPECT_TRUE(absl::IsInvalidArgument(SlicePath("/c.slice/a-b.slice").status()));
}

std::vector<UnitProperty> PropertiesOf(const Resources& resources) {
  auto settings = V2Settings("/nowhere/at/all", resources);
  EXPECT_TRUE(settings.ok()) << settings.status();
  return UnitProperties(*settings);
}

TEST(UnitProperties, AreWhatSystemdCallsTheLimits) {
  Resources r;
  r.memory_limit = 64 << 20;
  r.memory_swap_limit = 96 << 20;
  r.cpu_shares = 1024;
  r.pids_limit = -1;
  r.unified = {{"memory.high", "50000000"}, {"memory.min", "max"}};
  EXPECT_THAT(PropertiesOf(r),
              testing::UnorderedElementsAre(
                  UnitProperty{"MemoryMax", uint64_t{64 << 20}}, UnitProperty{"MemorySwapMax", uint64_t{32 << 20}},
                  UnitProperty{"CPUWeight", uint64_t{100}}, UnitProperty{"TasksMax", kInfinity},
                  UnitProperty{"MemoryHigh", uint64_t{50000000}}, UnitProperty{"MemoryMin", kInfinity}));
}

TEST(UnitProperties, AQuotaIsMicrosecondsASecondAndNeverLessThanWasAskedFor) {
  Resources r;
  r.cpu_quota = 12345;
  r.cpu_period = 100000;
  EXPECT_THAT(PropertiesOf(r), ElementsAre(UnitProperty{"CPUQuotaPerSecUSec", uint64_t{130000}},
                                           UnitProperty{"CPUQuotaPeriodUSec", uint64_t{100000}}));
  r.cpu_quota = -1;
  EXPECT_THAT(PropertiesOf(r), ElementsAre(UnitProperty{"CPUQuotaPerSecUSec", kInfinity},
                                           UnitProperty{"CPUQuotaPeriodUSec", uint64_t{100000}}));
}

TEST(UnitProperties, CpusAreBits) {
  Resources r;
  r.cpuset_cpus = "0-2,9";
  r.cpuset_mems = "0";
  EXPECT_THAT(PropertiesOf(r), ElementsAre(UnitProperty{"AllowedCPUs", std::vector<uint8_t>{0b111, 0b10}},
                                           UnitProperty{"AllowedMemoryNodes", std::vector<uint8_t>{1}}));
}

TEST(UnitProperties, FilesThatSystemdDoesNotKnowAreNone) {
  Resources r;
  r.unified = {{"memory.oom.group", "1"}, {"misc.max", "sev 1"}};
  r.hugepage_limits = {{"2MB", 0}};
  EXPECT_THAT(PropertiesOf(r), IsEmpty());
}

}  // namespace
}  // namespace wherry::cgroup
