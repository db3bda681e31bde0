#include "cri/container/resources.h"

#include <fcntl.h>
#include <gmock/gmock.h>

namespace wherry::container {
namespace {

using ::runtime::v1::LinuxContainerResources;
using testing::HasSubstr;

std::string Refusal(const std::function<void(LinuxContainerResources&)>& set) {
  LinuxContainerResources resources;
  set(resources);
  auto result = ToCgroup(resources);
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(result.status().message());
}

TEST(Resources, ZeroMeansAsItIs) {
  auto limits = ToCgroup(LinuxContainerResources());
  ASSERT_TRUE(limits.ok());
  EXPECT_FALSE(limits->cpu_shares || limits->cpu_period || limits->cpu_quota);
  EXPECT_FALSE(limits->memory_limit || limits->memory_swap_limit);
  EXPECT_TRUE(limits->cpuset_cpus.empty() && limits->hugepage_limits.empty() && limits->unified.empty());
}

TEST(Resources, AbsurdOnesAreRefusedByNameWithTheirValue) {
  EXPECT_THAT(Refusal([](auto& r) { r.set_cpu_shares(-5); }), HasSubstr("cpu_shares = -5"));
  EXPECT_THAT(Refusal([](auto& r) { r.set_cpu_period(999); }), HasSubstr("cpu_period = 999"));
  EXPECT_THAT(Refusal([](auto& r) { r.set_cpu_quota(-2); }), HasSubstr("cpu_quota = -2"));
  EXPECT_THAT(Refusal([](auto& r) { r.set_cpu_quota(10); }), HasSubstr("cpu_quota = 10"));
  EXPECT_THAT(Refusal([](auto& r) { r.set_memory_limit_in_bytes(-9); }), HasSubstr("memory_limit_in_bytes = -9"));
  EXPECT_THAT(Refusal([](auto& r) {
                r.set_memory_limit_in_bytes(2 << 20);
                r.set_memory_swap_limit_in_bytes(1 << 20);
              }),
              HasSubstr("memory_swap_limit_in_bytes = 1048576"));
  EXPECT_THAT(Refusal([](auto& r) { (*r.mutable_unified())["../memory.max"] = "1"; }), HasSubstr("../memory.max"));
}

TEST(Resources, AnUpdateChangesWhatItNamesOnly) {
  LinuxContainerResources now, update;
  now.set_cpu_quota(50000), now.set_memory_limit_in_bytes(64 << 20), now.set_cpuset_cpus("0-3");
  (*now.mutable_unified())["memory.high"] = "1";
  for (const char* size : {"2MB", "1GB"}) {
    auto& page = *now.add_hugepage_limits();
    page.set_page_size(size), page.set_limit(4);
  }
  update.set_cpu_quota(-1);
  (*update.mutable_unified())["memory.low"] = "2";
  auto& page = *update.add_hugepage_limits();
  page.set_page_size("2MB"), page.set_limit(0);
  MergeResources(update, now);
  EXPECT_EQ(now.cpu_quota(), -1);
  EXPECT_EQ(now.memory_limit_in_bytes(), 64 << 20);
  EXPECT_EQ(now.cpuset_cpus(), "0-3");
  EXPECT_EQ(now.unified().size(), 2U);
  ASSERT_EQ(now.hugepage_limits_size(), 2);
  for (const auto& each : now.hugepage_limits()) EXPECT_EQ(each.limit(), each.page_size() == "2MB" ? 0U : 4U);
}

TEST(Devices, OnlyTheHarmlessAndTheNamedOnes) {
  for (const cgroup::DeviceRule& rule : BaseDeviceRules(false)) {
    if (rule.access == "m") continue;
    EXPECT_EQ(rule.type, 'c');
    EXPECT_THAT(std::pair(rule.major, rule.minor),
                testing::AnyOf(testing::Pair(1, testing::AnyOf(3, 5, 7, 8, 9)), testing::Pair(5, testing::AnyOf(0, 2)),
                               testing::Pair(136, -1)));
  }
  ::runtime::v1::Device device;
  device.set_permissions("r");
  struct statx null {};
  ASSERT_EQ(::statx(AT_FDCWD, "/dev/null", 0, STATX_TYPE, &null), 0);
  auto rule = RuleFor(device, null);
  ASSERT_TRUE(rule.ok());
  EXPECT_EQ(rule->type(), "c");
  EXPECT_EQ(rule->major_number(), 1);
  EXPECT_EQ(rule->minor_number(), 3);
  EXPECT_EQ(rule->access(), "r");
  device.set_permissions("rx");
  EXPECT_THAT(std::string(RuleFor(device, null).status().message()), HasSubstr("\"rx\""));
  struct statx file {};
  file.stx_mode = S_IFREG;
  EXPECT_THAT(std::string(RuleFor(device, file).status().message()), HasSubstr("no device node"));
}

}  // namespace
}  // namespace wherry::container
