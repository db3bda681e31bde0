#include "cri/container/spec.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cri/container/resources.h"
#include "cri/container/user_namespace.h"
#include "runtime/security/paths.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

// The wire cannot tell an empty list from none. The kubelet always sends its own lists, but for procMount Unmasked, which
// Kubernetes allows to pods with a user namespace alone (KUBELET 23). So an empty list means none for those; for all others it
// is a client that did not think of it, and gets the usual ones.
absl::Status SetPaths(const SpecInput& input, shim::v1::Rootfs& rootfs) {
  const auto& security = SecurityOf(input.config);
  if (security.privileged()) return absl::OkStatus();
  for (const auto& path : security.masked_paths()) {
    ASSIGN_OR_RETURN(*rootfs.add_masked_paths(), CleanPath(path, "masked_paths"));
  }
  for (const auto& path : security.readonly_paths()) {
    ASSIGN_OR_RETURN(*rootfs.add_readonly_paths(), CleanPath(path, "readonly_paths"));
  }
  if (UserNamespaceOf(input.pod.config())) return absl::OkStatus();
  if (security.masked_paths().empty()) {
    for (const std::string& path : input.host.masked_paths) rootfs.add_masked_paths(path);
  }
  if (security.readonly_paths().empty()) {
    for (const std::string& path : security::DefaultReadonlyPaths()) rootfs.add_readonly_paths(path);
  }
  return absl::OkStatus();
}

absl::Status AddDevices(const ::runtime::v1::ContainerConfig& config, shim::v1::Rootfs& rootfs) {
  for (const auto& device : config.devices()) {
    auto& added = *rootfs.add_devices();
    ASSIGN_OR_RETURN(*added.mutable_path(), CleanPath(device.container_path(), "devices.container_path"));
    ASSIGN_OR_RETURN(*added.mutable_host_path(), CleanPath(device.host_path(), "devices.host_path"));
  }
  return absl::OkStatus();
}

absl::Status SetLog(const SpecInput& input, shim::v1::Log& log) {
  const std::string& directory = input.pod.config().log_directory();
  const std::string& path = input.config.log_path();
  if (directory.empty() || path.empty()) return absl::OkStatus();
  if (path[0] == '/') return absl::InvalidArgumentError(absl::StrCat("log_path: \"", path, "\" is not relative"));
  ASSIGN_OR_RETURN(std::string clean, CleanPath("/" + path, "log_path"));
  ASSIGN_OR_RETURN(*log.mutable_directory(), CleanPath(directory, "log_directory"));
  log.set_path(clean.substr(1));
  return absl::OkStatus();
}

absl::Status SetRootfs(const SpecInput& input, shim::v1::Rootfs& rootfs) {
  const auto& security = SecurityOf(input.config);
  for (const auto& dir : input.lowerdirs) rootfs.add_lowerdirs(dir);
  rootfs.set_upperdir(input.paths.upper(input.id));
  rootfs.set_workdir(input.paths.work(input.id));
  rootfs.set_readonly(security.readonly_rootfs());
  rootfs.set_all_devices(security.privileged() && !input.handler.privileged_without_host_devices);
  RETURN_IF_ERROR(AddMounts(input, rootfs));
  RETURN_IF_ERROR(AddImageVolumes(input, rootfs));
  RETURN_IF_ERROR(SetPaths(input, rootfs));
  return AddDevices(input.config, rootfs);
}

}  // namespace

absl::StatusOr<shim::v1::StartContainerRequest> BuildSpec(const SpecInput& input) {
  shim::v1::StartContainerRequest spec;
  RETURN_IF_ERROR(CheckSecurity(input));
  spec.set_container_id(input.id);
  spec.set_work_directory(input.paths.container(input.id));
  spec.set_stdin(input.config.stdin());
  spec.set_stdin_once(input.config.stdin_once());
  RETURN_IF_ERROR(SetNamespaces(input, spec));
  ASSIGN_OR_RETURN(*spec.mutable_process(), BuildProcess(input));
  RETURN_IF_ERROR(SetRootfs(input, *spec.mutable_rootfs()));
  RETURN_IF_ERROR(SetLabels(input, spec));
  RETURN_IF_ERROR(SetLog(input, *spec.mutable_log()));
  RETURN_IF_ERROR(ToCgroup(input.config.linux().resources()).status());
  return spec;
}

}  // namespace wherry::container
