// What v2 gets to see, on a tree written here: values and conversions that need controllers which this machine may
// have on v1. That the kernel enforces them is for the integration tests.

#include "gmock/gmock.h"
#include "runtime/cgroup/stats.h"
#include "runtime/cgroup/v2.h"
#include "test/unit/cgroup/fixture.h"

namespace wherry::cgroup {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class V2FixtureTest : public Fixture {
 protected:
  V2FixtureTest() {
    Put("cgroup.controllers", "cpu memory\n");
    Put("cgroup.subtree_control", "\n");
    Put("pod/cgroup.subtree_control", "cpu memory\n");
    Put("pod/cpuset.cpus.effective", "0-3\n");
    Put("pod/c/memory.max", "max\n");
    Put("pod/c/memory.swap.max", "max\n");
    Put("pod/c/memory.stat", "anon 1000000\nfile 5\ninactive_file 3000\nkernel 77\npgfault 7\npgmajfault 1\n");
    Put("pod/c/memory.current", "10000\n");
    Put("pod/c/memory.events", "max 9\noom 3\noom_kill 2\noom_group_kill 0\n");
    Put("pod/c/cpu.max", "max 100000\n");
    Put("pod/c/cpu.weight", "100\n");
    Put("pod/c/cpu.stat", "usage_usec 12\nuser_usec 1\n");
    Put("pod/c/cpuset.cpus", "\n");
    Put("pod/c/pids.max", "max\n");
    Put("pod/c/pids.current", "4\n");
    Put("pod/c/memory.peak", "20000\n");
    Put("pod/c/io.stat", "8:0 \n254:16 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n");
    Put("pod/c/hugetlb.2MB.max", "max\n");
    Put("pod/c/hugetlb.2MB.current", "4194304\n");
    Put("pod/c/hugetlb.2MB.rsvd.current", "0\n");
  }

  // The first word of a file: a write shorter than what it replaces leaves a tail behind here, unlike in a cgroup.
  std::string First(const std::string& file) { return Get("pod/c/" + file); }

  std::unique_ptr<Cgroups> v2 = MakeV2(root_);
};

TEST_F(V2FixtureTest, UnitsAreConverted) {
  Resources r;
  r.memory_limit = 100 << 20, r.memory_swap_limit = (100 << 20) + 4096;
  r.cpu_shares = 2048, r.cpu_quota = 50000, r.cpu_period = 200000;
  r.pids_limit = 1000;
  r.cpuset_cpus = "0-1";
  r.hugepage_limits = {{"2MB", 4194304}, {"1GB", 0}};
  ASSERT_TRUE(v2->Apply("/pod/c", r).ok()) << v2->Apply("/pod/c", r);
  EXPECT_EQ(First("memory.max"), "104857600");
  EXPECT_EQ(First("memory.swap.max"), "4096");
  EXPECT_THAT(First("cpu.weight"), StartsWith("17"));
  EXPECT_THAT(First("cpu.max"), StartsWith("50000 200000"));
  EXPECT_EQ(First("pids.max"), "1000");
  EXPECT_EQ(First("cpuset.cpus"), "0-1");
  EXPECT_EQ(First("hugetlb.2MB.max"), "4194304");
}

TEST_F(V2FixtureTest, WhatIsNotGivenStays) {
  Put("pod/c/cpu.max", "20000 100000\n");
  Resources period, quota;
  period.cpu_period = 150000, quota.cpu_quota = 70000;
  ASSERT_TRUE(v2->Apply("/pod/c", period).ok());
  EXPECT_THAT(First("cpu.max"), StartsWith("20000 150000"));
  ASSERT_TRUE(v2->Apply("/pod/c", quota).ok());
  EXPECT_THAT(First("cpu.max"), StartsWith("70000 150000"));
  EXPECT_EQ(First("memory.max"), "max\n");
}

TEST_F(V2FixtureTest, AMemoryLimitThatWouldKillIsRefusedWithTheUsage) {
  Resources r;
  r.memory_limit = 900000;
  absl::Status status = v2->Apply("/pod/c", r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1000000 bytes"));
  EXPECT_EQ(First("memory.max"), "max\n");
}

TEST_F(V2FixtureTest, ACpusetOutsideTheParentsIsRefused) {
  Resources r;
  r.cpuset_cpus = "2-4";
  absl::Status status = v2->Apply("/pod/c", r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("0-3"));
}

TEST_F(V2FixtureTest, AMissingHugepageSizeIsAnErrorUnlessTheLimitIsZero) {
  Resources r;
  r.hugepage_limits = {{"1GB", 1 << 30}};
  absl::Status status = v2->Apply("/pod/c", r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("hugepage_limits[1GB]"));
}

TEST_F(V2FixtureTest, CountersAreRead) {
  auto stats = v2->Read("/pod/c");
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->cpu_usage_ns, 12000u);
  EXPECT_EQ(stats->memory_usage, 10000u);
  EXPECT_EQ(stats->memory_working_set, 7000u);
  EXPECT_EQ(stats->memory_rss, 1000000u);
  EXPECT_EQ(stats->memory_limit, std::nullopt);
  EXPECT_EQ(stats->pids, 4u);
}

TEST_F(V2FixtureTest, DetailsAreRead) {
  const Detail detail = v2->ReadDetail("/pod/c");
  EXPECT_EQ(detail.user_ns, 1000u);
  EXPECT_EQ(detail.periods, std::nullopt);
  EXPECT_EQ(detail.memory_peak, 20000u);
  EXPECT_EQ(detail.memory_kernel, 77u);
  EXPECT_EQ(detail.memory_limit_hits, 9u);
  EXPECT_EQ(detail.oom_kills, 2u);
  EXPECT_EQ(detail.pids_limit, 0u) << "no limit";
  ASSERT_EQ(detail.io.size(), 1u);
  const IoCounters& io = detail.io[0];
  EXPECT_THAT(std::make_pair(io.major, io.minor), testing::Pair(254, 16));
  EXPECT_THAT((std::vector<uint64_t>{io.read_bytes, io.written_bytes, io.reads, io.writes}),
              testing::ElementsAre(4096, 8192, 1, 2));
}

TEST_F(V2FixtureTest, HugePagesInUseAreReadBySize) {
  Put("pod/c/hugetlb.1GB.current", "0\n");
  const Detail detail = v2->ReadDetail("/pod/c");
  ASSERT_EQ(detail.hugetlb.size(), 2u) << "reserved pages are no size of their own";
  EXPECT_EQ(detail.hugetlb[0].page_size, "1GB");
  EXPECT_EQ(detail.hugetlb[0].usage, 0u);
  EXPECT_EQ(detail.hugetlb[1].page_size, "2MB");
  EXPECT_EQ(detail.hugetlb[1].usage, 4194304u);
  EXPECT_EQ(detail.hugetlb[1].peak, std::nullopt) << "v2 does not keep it";
}

TEST_F(V2FixtureTest, PressureIsReadWhereItIsMeasured) {
  Put("pod/c/cpu.pressure",
      "some avg10=1.50 avg60=0.25 avg300=0.00 total=12345678\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
  Put("pod/c/io.pressure", "some avg10=0.00\n");
  const Pressures pressures = v2->ReadPressures("/pod/c");
  ASSERT_TRUE(pressures.cpu && pressures.cpu->some && pressures.cpu->full);
  EXPECT_EQ(pressures.cpu->some->total_us, 12345678u);
  EXPECT_EQ(pressures.cpu->some->avg10, 1.5);
  EXPECT_EQ(pressures.cpu->some->avg60, 0.25);
  EXPECT_EQ(pressures.cpu->full->total_us, 7u);
  EXPECT_FALSE(pressures.memory) << "there is no such file";
  EXPECT_FALSE(pressures.io) << "numbers are missing";
}

TEST(Blkio, BytesAndOperationsOfADeviceComeTogether) {
  const auto io = ParseBlkio("8:0 Read 4096\n8:0 Write 512\n8:0 Sync 4608\n8:0 Total 4608\n8:16 Write 7\nTotal 4615\n",
                             "8:0 Read 2\n8:0 Write 1\nTotal 3\n");
  ASSERT_EQ(io.size(), 2u);
  EXPECT_THAT((std::vector<uint64_t>{io[0].read_bytes, io[0].written_bytes, io[0].reads, io[0].writes}),
              testing::ElementsAre(4096, 512, 2, 1));
  EXPECT_THAT((std::vector<uint64_t>{io[1].minor, io[1].written_bytes}), testing::ElementsAre(16, 7));
}

TEST_F(V2FixtureTest, ControllersArePassedDownWhereTheyAreNot) {
  ASSERT_TRUE(v2->Create("/pod/d").ok());
  EXPECT_THAT(Get("cgroup.subtree_control"), StartsWith("+cpu +memory"));
  EXPECT_EQ(Get("pod/cgroup.subtree_control"), "cpu memory\n");
}

TEST_F(V2FixtureTest, PathsThatLeaveTheTreeAreRefused) {
  for (const char* path : {"", "pod", "/pod/../..", "/pod//c", "/.", "/pod/"})
    EXPECT_EQ(v2->Create(path).code(), absl::StatusCode::kInvalidArgument) << path;
  EXPECT_EQ(v2->Remove("/").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(v2->Kill("/", 0).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace wherry::cgroup
