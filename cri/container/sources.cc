// That what a container gets of the host's files is there, found out when the container is created: that is when a request can be told
// so.
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/host_files.h"
#include "cri/container/resources.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

// Mounts' sources, then devices. `label`: for those that are to be relabelled.
absl::StatusOr<std::vector<HostFile>> FilesOf(const ::runtime::v1::ContainerConfig& config, const std::string& label) {
  std::vector<HostFile> files;
  for (int i = 0; i < config.mounts_size(); ++i) {
    if (config.mounts(i).has_image()) continue;
    HostFile& file = files.emplace_back();
    file.field = absl::StrCat("mounts[", i, "]");
    ASSIGN_OR_RETURN(file.path, CleanPath(config.mounts(i).host_path(), file.field + ".host_path"));
    file.make = true;
    if (config.mounts(i).selinux_relabel()) file.label = label;
  }
  for (int i = 0; i < config.devices_size(); ++i) {
    HostFile& file = files.emplace_back();
    file.field = absl::StrCat("devices[", i, "]");
    ASSIGN_OR_RETURN(file.path, CleanPath(config.devices(i).host_path(), file.field + ".host_path"));
  }
  return files;
}

}  // namespace

absl::Status EnsureSources(Core& core, store::ContainerRecord& record, const std::string& label, Wanted wanted) {
  ASSIGN_OR_RETURN(const std::vector<HostFile> files, FilesOf(record.config(), label));
  ASSIGN_OR_RETURN(const Looks::Seen seen, LookAtHost(core.looks, record.pod_id(), files, wanted));
  const size_t devices = static_cast<size_t>(record.config().devices_size());
  const size_t mounts = files.size() - devices;
  for (size_t i = 0; i < devices; ++i) {
    ASSIGN_OR_RETURN_CTX(store::DeviceRule rule,
                         RuleFor(record.config().devices(static_cast<int>(i)), seen[mounts + i]),
                         files[mounts + i].field);
    *record.add_device_rules() = std::move(rule);
  }
  return absl::OkStatus();
}

}  // namespace wherry::container
