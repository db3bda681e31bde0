// Making, listing and removing cgroups on the layout that this host has.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "gmock/gmock.h"
#include "test/integration/cgroup/support.h"

namespace wherry::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(CgroupTest, IsMadeWithItsParentsInAllHierarchiesAndRemoved) {
  const std::string path = base + "/a/b/c";
  ASSERT_TRUE(cgroups->Create(path).ok());
  EXPECT_TRUE(Exists(path, true));
  EXPECT_TRUE(cgroups->Create(path).ok()) << "made again";
  EXPECT_TRUE(cgroups->Remove(base + "/a").ok());
  EXPECT_FALSE(Exists(base + "/a", false));
  EXPECT_TRUE(cgroups->Remove(base + "/a").ok()) << "removed again";
}

TEST_F(CgroupTest, ANewOneTakesAProcessAtOnce) {
  ASSERT_TRUE(cgroups->Create(base + "/a/b").ok());
  Child child = Run(base + "/a/b", Sleep);
  EXPECT_THAT(*cgroups->Processes(base + "/a/b"), ElementsAre(child.pid()));
  EXPECT_THAT(*cgroups->Processes(base), ElementsAre(child.pid())) << "those below count";
  EXPECT_THAT(*cgroups->Processes(base + "/none"), ElementsAre());
}

TEST_F(CgroupTest, AProcessInItIsAnErrorThatNamesIt) {
  ASSERT_TRUE(cgroups->Create(base + "/a").ok());
  Child child = Run(base + "/a", Sleep);
  absl::Status status = cgroups->Remove(base + "/a");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("process " + std::to_string(child.pid()) + " ("));
  EXPECT_TRUE(Exists(base + "/a", true)) << "nothing is removed by half";
}

TEST_F(CgroupTest, ManyCanBeMadeAndRemovedAtOnce) {
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::vector<absl::Status> results(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t, &results] {
      for (int i = 0; i < 10 && results[t].ok(); ++i) {
        const std::string path = base + "/shared/" + std::to_string(t) + "-" + std::to_string(i);
        results[t].Update(cgroups->Create(path));
        results[t].Update(cgroups->Remove(path));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : results) EXPECT_TRUE(status.ok()) << status;
}

TEST_F(CgroupTest, CountersMoveWithWhatRuns) {
  ASSERT_TRUE(cgroups->Create(base + "/a").ok());
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  Child child = Run(base + "/a", [&ready] {
    constexpr size_t kSize = 16 << 20;
    const std::vector<char> memory(kSize, 1);
    if (memory.back() != 1) return 1;
    return ::write(ready[1], "x", 1) == 1 ? Sleep() : 1;
  });
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]), ::close(ready[1]);
  auto stats = cgroups->Read(base + "/a");
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_GT(stats->cpu_usage_ns, 0u);
  EXPECT_EQ(stats->pids, 1u);
  EXPECT_GE(stats->memory_usage, 16u << 20);
  EXPECT_GE(stats->memory_rss, 16u << 20);
  EXPECT_LE(stats->memory_working_set, stats->memory_usage);
  EXPECT_GT(stats->page_faults, 0u) << "few, where huge pages are given";
  EXPECT_EQ(stats->memory_limit, std::nullopt);
  EXPECT_FALSE(cgroups->Read(base + "/none").ok());
}

TEST_F(CgroupTest, OnlyListedDevicesCanBeOpened) {
  ASSERT_TRUE(cgroups->Create(base + "/a").ok());
  absl::Status status = cgroups->AllowDevices(base + "/a", {{'c', 1, 3, "rw"}, {'c', 1, 9, "r"}});
  ASSERT_TRUE(status.ok()) << status;
  Child child = Run(base + "/a", [] {
    int code = 0;
    if (::open("/dev/null", O_RDWR) < 0) code |= 1;                       // 1:3
    if (::open("/dev/zero", O_RDONLY) >= 0 || errno != EPERM) code |= 2;  // 1:5
    if (::open("/dev/urandom", O_RDONLY) < 0) code |= 4;                  // 1:9
    if (::open("/dev/urandom", O_WRONLY) >= 0 || errno != EPERM) code |= 8;
    return code;
  });
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0);
}

}  // namespace
}  // namespace wherry::cgroup
