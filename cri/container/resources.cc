#include "cri/container/resources.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::Status Wrong(absl::string_view field, int64_t value, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("resources.", field, " = ", value, ": ", why));
}

absl::Status SetCpu(const ::runtime::v1::LinuxContainerResources& from, cgroup::Resources& to) {
  if (from.cpu_shares() < 0) return Wrong("cpu_shares", from.cpu_shares(), "must not be negative");
  // The kernel clamps to 2..262144 as well, but only in v1.
  if (from.cpu_shares() > 0) to.cpu_shares = std::min<int64_t>(std::max<int64_t>(from.cpu_shares(), 2), 262144);
  if (from.cpu_period() != 0) {
    if (from.cpu_period() < 1000 || from.cpu_period() > 1000000) {
      return Wrong("cpu_period", from.cpu_period(), "must be 1000..1000000 microseconds");
    }
    to.cpu_period = from.cpu_period();
  }
  if (from.cpu_quota() < -1 || (from.cpu_quota() > 0 && from.cpu_quota() < 1000)) {
    return Wrong("cpu_quota", from.cpu_quota(), "must be at least 1000 microseconds, or -1 for none");
  }
  if (from.cpu_quota() != 0) to.cpu_quota = from.cpu_quota();
  to.cpuset_cpus = from.cpuset_cpus();
  to.cpuset_mems = from.cpuset_mems();
  return absl::OkStatus();
}

absl::Status SetMemory(const ::runtime::v1::LinuxContainerResources& from, cgroup::Resources& to) {
  int64_t limit = from.memory_limit_in_bytes(), swap = from.memory_swap_limit_in_bytes();
  if (limit < -1) return Wrong("memory_limit_in_bytes", limit, "must not be negative (-1 = none)");
  if (swap < -1) return Wrong("memory_swap_limit_in_bytes", swap, "must not be negative (-1 = none)");
  if (swap > 0 && limit > 0 && swap < limit) {
    return Wrong("memory_swap_limit_in_bytes", swap, "counts memory plus swap, so it cannot be below the memory limit");
  }
  if (limit != 0) to.memory_limit = limit;
  if (swap != 0) to.memory_swap_limit = swap;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<cgroup::Resources> ToCgroup(const ::runtime::v1::LinuxContainerResources& resources) {
  cgroup::Resources result;
  RETURN_IF_ERROR(SetCpu(resources, result));
  RETURN_IF_ERROR(SetMemory(resources, result));
  for (const auto& page : resources.hugepage_limits())
    result.hugepage_limits.push_back({page.page_size(), page.limit()});
  for (const auto& [file, value] : resources.unified()) {
    if (file.empty() || absl::StrContains(file, "/") || !absl::StrContains(file, ".")) {
      return absl::InvalidArgumentError(absl::StrCat("resources.unified: \"", file, "\" is no cgroup file"));
    }
    result.unified.emplace(file, value);
  }
  return result;
}

void AddBaseLimits(const config::Handler& handler, store::ContainerRecord& record) {
  auto& resources = *record.mutable_resources();
  if (resources.unified().count("pids.max") == 0) record.set_pids_limit(handler.pids_limit);
  if (handler.memory_limit_bytes > 0 && resources.memory_limit_in_bytes() == 0)
    resources.set_memory_limit_in_bytes(handler.memory_limit_bytes);
}

void MergeResources(const ::runtime::v1::LinuxContainerResources& from, ::runtime::v1::LinuxContainerResources& to) {
  std::map<std::string, uint64_t> pages;
  for (const auto& page : to.hugepage_limits()) pages[page.page_size()] = page.limit();
  for (const auto& page : from.hugepage_limits()) pages[page.page_size()] = page.limit();
  // Scalars of `from` that are not zero replace, maps are merged; of the repeated field, which would be appended to, what
  // counts was taken above.
  to.MergeFrom(from);
  to.clear_hugepage_limits();
  for (const auto& [size, limit] : pages) {
    auto& page = *to.add_hugepage_limits();
    page.set_page_size(size);
    page.set_limit(limit);
  }
}

absl::StatusOr<store::DeviceRule> RuleFor(const ::runtime::v1::Device& device, const struct statx& host) {
  if (!S_ISCHR(host.stx_mode) && !S_ISBLK(host.stx_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", device.host_path(), "\" is no device node"));
  }
  for (char c : device.permissions()) {
    if (!absl::StrContains("rwm", absl::string_view(&c, 1))) {
      return absl::InvalidArgumentError(
          absl::StrCat("permissions \"", device.permissions(), "\" of \"", device.host_path(), "\" are not of rwm"));
    }
  }
  store::DeviceRule rule;
  rule.set_type(S_ISCHR(host.stx_mode) ? "c" : "b");
  rule.set_major_number(host.stx_rdev_major);
  rule.set_minor_number(host.stx_rdev_minor);
  rule.set_access(device.permissions().empty() ? "rwm" : device.permissions());
  return rule;
}

std::vector<cgroup::DeviceRule> BaseDeviceRules(bool privileged) {
  if (privileged) return {{'a', -1, -1, "rwm"}};
  return {
      {'c', -1, -1, "m"}, {'b', -1, -1, "m"},    // mknod
      {'c', 1, 3, "rwm"}, {'c', 1, 5, "rwm"},    // null, zero
      {'c', 1, 7, "rwm"}, {'c', 1, 8, "rwm"},    // full, random
      {'c', 1, 9, "rwm"}, {'c', 5, 0, "rwm"},    // urandom, tty
      {'c', 5, 2, "rwm"}, {'c', 136, -1, "rwm"}  // ptmx, pts
  };
}

}  // namespace wherry::container
