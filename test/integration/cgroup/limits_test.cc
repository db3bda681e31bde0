// Limits as the kernel enforces them, and what is said when it refuses one. They need the controllers cpu, cpuset, memory and pids,
// on v1 or on v2.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "test/integration/cgroup/support.h"
#include "test/sanitize/sanitized.h"

namespace wherry::cgroup {
namespace {

using ::testing::HasSubstr;

class LimitsTest : public CgroupTest {
 protected:
  void SetUp() override {
    CgroupTest::SetUp();
    path = base + "/c";
    ASSERT_TRUE(cgroups->Create(path).ok());
  }
  absl::Status Memory(int64_t memory, int64_t swap) {
    Resources r;
    r.memory_limit = memory, r.memory_swap_limit = swap;
    return cgroups->Apply(path, r);
  }
  std::optional<uint64_t> MemoryLimit() { return cgroups->Read(path)->memory_limit; }

  std::string path;
};

// Touches `size` bytes, says so on `ready`, and sleeps.
int Hold(size_t size, int ready) {
  char* memory = static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
  return ::write(ready, "x", 1) == 1 ? Sleep() : 1;
}

TEST_F(LimitsTest, AForkBombStopsAtThePidsLimit) {
  Resources r;
  r.pids_limit = 20;
  ASSERT_TRUE(cgroups->Apply(path, r).ok());
  Child child = Run(path, [] {
    int made = 0;
    while (made < 100) {
      const pid_t pid = ::_Fork();  // as in support.cc
      if (pid == 0) return Sleep();
      if (pid < 0) break;
      ++made;
    }
    return made;
  });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 19);
  EXPECT_EQ(cgroups->Processes(path)->size(), 19u);
}

TEST_F(LimitsTest, MemoryOverTheLimitIsKilled) {
  ASSERT_TRUE(Memory(16 << 20, 16 << 20).ok());
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  Child child = Run(path, [&ready] { return Hold(64 << 20, ready[1]); });
  const int status = child.Wait();
  ::close(ready[0]), ::close(ready[1]);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

TEST_F(LimitsTest, MemoryGrowsAndShrinksTogetherWithSwap) {
  for (int64_t mib : {100, 200, 50, 51, 10}) {
    absl::Status status = Memory(mib << 20, mib << 20);
    ASSERT_TRUE(status.ok()) << mib << ": " << status;
    EXPECT_EQ(MemoryLimit(), static_cast<uint64_t>(mib << 20));
    EXPECT_EQ(cgroups->Read(path)->swap_limit, 0u);
  }
  ASSERT_TRUE(Memory(-1, 0).ok());
  EXPECT_EQ(MemoryLimit(), std::nullopt);
  ASSERT_TRUE(Memory(64 << 20, 96 << 20).ok());
  EXPECT_EQ(cgroups->Read(path)->swap_limit, 32u << 20);
}

TEST_F(LimitsTest, ALimitBelowTheUsageNamesTheUsage) {
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  ASSERT_TRUE(Memory(256 << 20, 256 << 20).ok());
  Child child = Run(path, [&ready] { return Hold(64 << 20, ready[1]); });
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]), ::close(ready[1]);
  absl::Status status = Memory(16 << 20, 16 << 20);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("memory_limit 16777216"));
  const char* held = test::kSanitized ? "([67][0-9]|1[0-9]{2})[0-9]{6} bytes" : "6[0-9]{7} bytes";  // shadows count
  EXPECT_THAT(std::string(status.message()), ::testing::ContainsRegex(held));
  EXPECT_EQ(MemoryLimit(), 256u << 20);
  EXPECT_EQ(::kill(child.pid(), 0), 0);
}

TEST_F(LimitsTest, ARefusedLimitUndoesThoseSetBeforeIt) {
  ASSERT_TRUE(Memory(100 << 20, 100 << 20).ok());
  Resources r;
  r.memory_limit = r.memory_swap_limit = 200 << 20;
  r.cpu_quota = 20000, r.cpu_period = 100000;
  r.cpuset_cpus = "900-999";
  absl::Status status = cgroups->Apply(path, r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cpuset_cpus 900-999"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("the parent cgroup has"));
  EXPECT_EQ(MemoryLimit(), 100u << 20);
}

TEST_F(LimitsTest, ACpusetIsWhatProcessesGet) {
  Resources r;
  r.cpuset_cpus = "0";
  absl::Status status = cgroups->Apply(path, r);
  ASSERT_TRUE(status.ok()) << status;
  Child child = Run(path, [] {
    cpu_set_t set;
    return ::sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set) ? 0 : 1;
  });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0);
  // Below it nothing wider can be had.
  ASSERT_TRUE(cgroups->Create(path + "/sub").ok());
  r.cpuset_cpus = "0-1";
  EXPECT_EQ(cgroups->Apply(path + "/sub", r).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LimitsTest, ABusyLoopIsHeldAtItsQuota) {
  Resources r;
  r.cpu_quota = 10000, r.cpu_period = 100000;
  ASSERT_TRUE(cgroups->Apply(path, r).ok());
  // 60 ms of CPU time need at least 5 further periods of 100 ms.
  timespec begin{}, end{};
  ::clock_gettime(CLOCK_MONOTONIC, &begin);
  Child child = Run(path, [] {
    timespec used{};
    do ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 60000000);
    return 0;
  });
  EXPECT_EQ(child.Wait(), 0);
  ::clock_gettime(CLOCK_MONOTONIC, &end);
  EXPECT_GT((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000, 300);
}

TEST_F(LimitsTest, QuotaAndPeriodChangeInAnyDirection) {
  Resources parent;
  parent.cpu_quota = 50000, parent.cpu_period = 100000;
  ASSERT_TRUE(cgroups->Apply(base, parent).ok());
  const std::pair<int64_t, uint64_t> steps[] = {{50000, 100000}, {5000, 10000}, {500000, 1000000}, {-1, 50000},
                                                {25000, 50000},  {1000, 2000},  {0, 100000},       {50000, 100000}};
  for (const auto& [quota, period] : steps) {
    Resources r;
    r.cpu_quota = quota, r.cpu_period = period;
    absl::Status status = cgroups->Apply(path, r);
    EXPECT_TRUE(status.ok()) << quota << "/" << period << ": " << status;
  }
}

TEST_F(LimitsTest, HugepageLimitsOfZeroAreTakenForEverySize) {
  Resources r;
  r.hugepage_limits = {{"2MB", 0}, {"1GB", 0}, {"64KB", 0}};
  absl::Status status = cgroups->Apply(path, r);
  EXPECT_TRUE(status.ok()) << status;
  r.hugepage_limits = {{"64KB", 65536}};
  status = cgroups->Apply(path, r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("hugepage_limits[64KB] 65536"));
}

TEST_F(LimitsTest, AHugepageReservationOverTheLimitFails) {
  Resources r;
  r.hugepage_limits = {{"2MB", 0}};
  ASSERT_TRUE(cgroups->Apply(path, r).ok());
  Child child = Run(path, [] {
    void* huge = ::mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    return huge == MAP_FAILED ? 0 : 1;
  });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0);
}

// The host's administrator gives pages of this kind; hack/vm.sh does so.
TEST_F(LimitsTest, HugePagesInUseAreCounted) {
  Resources r;
  r.hugepage_limits = {{"2MB", 2 << 20}};
  ASSERT_TRUE(cgroups->Apply(path, r).ok());
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  Child child = Run(path, [&ready] {
    void* huge = ::mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (huge != MAP_FAILED) *static_cast<char*>(huge) = 1;
    return ::write(ready[1], huge == MAP_FAILED ? "-" : "+", 1) == 1 ? Sleep() : 1;
  });
  char given;
  ASSERT_EQ(::read(ready[0], &given, 1), 1);
  ::close(ready[0]), ::close(ready[1]);
  const std::vector<HugetlbUse> sizes = cgroups->ReadDetail(path).hugetlb;
  const auto found = std::find_if(sizes.begin(), sizes.end(), [](auto& use) { return use.page_size == "2MB"; });
  ASSERT_NE(found, sizes.end());
  EXPECT_EQ(found->usage, given == '+' ? 2u << 20 : 0u);
}

TEST_F(LimitsTest, AnUnknownDiskIsNamed) {
  Resources r;
  r.pids_limit = 7;
  r.io_limits.push_back({.device = "4000:77", .rbps = 1 << 20});
  absl::Status status = cgroups->Apply(path, r);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("io_limits 4000:77"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("block device"));
}

TEST_F(LimitsTest, SettingsOfV2AreTakenWhereMemoryIsOnV2AndRefusedElsewhere) {
  Resources r;
  r.memory_limit = r.memory_swap_limit = 64 << 20;
  // A memory.high far below the limit would hold the greedy one back for half a minute.
  r.unified = {{"memory.oom.group", "1"}, {"memory.high", "67043328"}, {"memory.swap.max", "0"}};
  absl::Status status = cgroups->Apply(path, r);
  if (cgroups->layout() != "v2") {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(MemoryLimit(), std::nullopt);
    return;
  }
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(cgroups->Read(path)->memory_limit, 64u << 20);
  // Group OOM: when one process goes over the limit, all of the container end.
  Child idle = Run(path, Sleep), greedy = Run(path, [] { return Hold(128 << 20, 1); });
  EXPECT_EQ(WTERMSIG(greedy.Wait()), SIGKILL);
  EXPECT_EQ(WTERMSIG(idle.Wait()), SIGKILL);
  // A file that cannot be read back is no setting; what was set before it is undone.
  r.memory_limit = r.memory_swap_limit = 128 << 20;
  r.unified = {{"memory.reclaim", "1"}};
  EXPECT_EQ(cgroups->Apply(path, r).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MemoryLimit(), 64u << 20);
}

TEST_F(LimitsTest, ACgroupThatIsNotThereIsNotFound) {
  Resources r;
  r.pids_limit = 7;
  EXPECT_EQ(cgroups->Apply(base + "/none", r).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace wherry::cgroup
