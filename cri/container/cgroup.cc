// A container's cgroup lives from Start to the end of its last process.
#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/resources.h"
#include "runtime/sys/status.h"

namespace wherry::container {

absl::StatusOr<shim::v1::Cgroup> CgroupOf(Core& core, const std::string& path) {
  ASSIGN_OR_RETURN(cgroup::Membership members, core.cgroups.Members(path));
  shim::v1::Cgroup result;
  for (const auto& dir : members.v1_dirs) result.add_v1_dirs(dir);
  result.set_unified_dir(members.unified_dir);
  result.set_memory_dir(members.memory_dir);
  return result;
}

absl::StatusOr<shim::v1::Cgroup> PrepareCgroup(Core& core, const store::ContainerRecord& record, bool all_devices,
                                               std::unique_ptr<cgroup::Hold>& hold) {
  const std::string& path = record.cgroup_path();
  ASSIGN_OR_RETURN(cgroup::Resources resources, ToCgroup(record.resources()));
  if (record.pids_limit() > 0) resources.pids_limit = record.pids_limit();
  std::vector<cgroup::DeviceRule> rules = BaseDeviceRules(all_devices);
  for (const auto& rule : record.device_rules())
    rules.push_back({rule.type() == "b" ? 'b' : 'c', rule.major_number(), rule.minor_number(), rule.access()});
  ASSIGN_OR_RETURN(hold, core.cgroups.CreateLeaf(path, resources));
  RETURN_IF_ERROR(core.cgroups.AllowDevices(path, rules));
  return CgroupOf(core, path);
}

absl::Status DestroyCgroup(Core& core, const std::string& path) {
  if (path.empty() || core.cgroups.Remove(path).ok()) return absl::OkStatus();
  RETURN_IF_ERROR(core.cgroups.Kill(path, static_cast<int>(absl::ToInt64Milliseconds(kKillTimeout))));
  return core.cgroups.Remove(path);
}

}  // namespace wherry::container
