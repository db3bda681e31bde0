#include "cri/container/resources.h"

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
  google::protobuf::RepeatedPtrField<::runtime::v1::Device> devices;
  const size_t harmless = DeviceRules(devices, false)->size();
  auto& device = *devices.Add();
  device.set_host_path("/dev/null");
  device.set_permissions("r");
  auto rules = DeviceRules(devices, false);
  ASSERT_TRUE(rules.ok());
  ASSERT_EQ(rules->size(), harmless + 1);
  EXPECT_EQ(rules->back().type, 'c');
  EXPECT_EQ(rules->back().major, 1);
  EXPECT_EQ(rules->back().minor, 3);
  EXPECT_EQ(rules->back().access, "r");
  device.set_permissions("rx");
  EXPECT_THAT(std::string(DeviceRules(devices, false).status().message()), HasSubstr("\"rx\""));
  device.set_host_path("/etc/passwd");
  EXPECT_THAT(std::string(DeviceRules(devices, false).status().message()), HasSubstr("no device node"));
}

}  // namespace
}  // namespace wherry::container
