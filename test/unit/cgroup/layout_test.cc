// The layout is what the mount table says, by whole controller names.

#include "runtime/cgroup/layout.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wherry::cgroup {
namespace {

using ::testing::ElementsAre;

constexpr char kHybrid[] =
    "23 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset,clone_children\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/bin/x,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    "42 31 0:38 / /other/cgroup rw,relatime - cgroup2 cgroup2 rw\n";

TEST(LayoutTest, HybridHasBothKinds) {
  auto layout = ParseLayout(kHybrid, "/sys/fs/cgroup");
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->Name(), "hybrid");
  EXPECT_EQ(layout->unified, "/sys/fs/cgroup/unified");
  ASSERT_EQ(layout->v1.size(), 3u);
  EXPECT_THAT(layout->v1[0].controllers, ElementsAre("cpu", "cpuacct"));
  EXPECT_THAT(layout->v1[1].controllers, ElementsAre("cpuset"));
  EXPECT_THAT(layout->v1[2].controllers, ElementsAre("name=systemd"));
}

TEST(LayoutTest, AMountOverTheRootHidesWhatWasBelow) {
  const std::string text =
      std::string(kHybrid) +
      "50 31 0:38 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
  auto layout = ParseLayout(text, "/sys/fs/cgroup");
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->Name(), "v2");
  EXPECT_EQ(layout->unified, "/sys/fs/cgroup");
}

TEST(LayoutTest, PureV1) {
  auto layout = ParseLayout("32 31 0:29 / /c/memory rw - cgroup cgroup rw,memory\n", "/c");
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->Name(), "v1");
}

TEST(LayoutTest, EscapedNamesAreRead) {
  auto layout = ParseLayout("32 31 0:29 / /a\\040b rw - cgroup2 none rw\n", "/a b");
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->unified, "/a b");
}

TEST(LayoutTest, AHostWithoutCgroupsIsNamed) {
  EXPECT_EQ(ParseLayout(kHybrid, "/sys/fs/cg").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ParseLayout("", "/sys/fs/cgroup").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ParseLayout("a b c\n- - -\n\n", "/sys/fs/cgroup").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace wherry::cgroup
