// A CDI specification edits an OCI runtime configuration; here each kind of edit becomes what the shim is told instead. Where an
// edit names what is there already (a variable, a mount's or a device's place), it replaces it.
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cri/container/cdi.h"
#include "cri/container/hooks.h"
#include "cri/container/spec.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::Status Refuse(const cdi::Edits& edits) {
  auto refuse = [](const std::string& what) {
    return absl::UnimplementedError(absl::StrCat("CDI_devices: the specification wants ", what, " by this version"));
  };
  if (edits.intel_rdt) return refuse("an RDT class (intelRdt), which is not given");
  if (edits.net_devices) return refuse("network interfaces (netDevices), which are not moved");
  return absl::OkStatus();
}

void SetVariable(const std::string& assignment, shim::v1::Process& process) {
  const absl::string_view name = absl::string_view(assignment).substr(0, assignment.find('=') + 1);
  for (auto& known : *process.mutable_env()) {
    if (!absl::StartsWith(known, name)) continue;
    known = assignment;
    return;
  }
  process.add_env(assignment);
}

// Whether the specification leaves to the host what the device is.
bool IsHosts(const cdi::DeviceNode& node) { return node.type != 'p' && (node.type == 0 || node.major == 0); }

absl::StatusOr<std::string> HostPath(const cdi::DeviceNode& node) {
  return CleanPath(node.host_path.empty() ? node.path : node.host_path, "deviceNodes.hostPath");
}

absl::Status FromHost(const cdi::DeviceNode& node, const struct statx& host, shim::v1::Device& device) {
  const char type = S_ISBLK(host.stx_mode) ? 'b' : S_ISCHR(host.stx_mode) ? 'c' : S_ISFIFO(host.stx_mode) ? 'p' : 0;
  if (type == 0 || (node.type != 0 && node.type != type))
    return absl::FailedPreconditionError(absl::StrCat("\"", device.host_path(), "\" is no such device on this host"));
  device.set_type(std::string(1, type));
  device.set_major_number(node.major != 0 ? static_cast<uint32_t>(node.major) : host.stx_rdev_major);
  device.set_minor_number(node.major != 0 ? static_cast<uint32_t>(node.minor) : host.stx_rdev_minor);
  device.set_mode(host.stx_mode & 07777U);
  device.set_uid(host.stx_uid);
  device.set_gid(host.stx_gid);
  return absl::OkStatus();
}

// `host`: what is at the device's host path; unless it IsHosts(), null.
absl::Status AddNode(const cdi::DeviceNode& node, const struct statx* host, store::ContainerRecord& record,
                     shim::v1::Rootfs& rootfs) {
  shim::v1::Device device;
  ASSIGN_OR_RETURN(*device.mutable_path(), CleanPath(node.path, "deviceNodes.path"));
  ASSIGN_OR_RETURN(*device.mutable_host_path(), HostPath(node));
  if (host != nullptr) {
    RETURN_IF_ERROR(FromHost(node, *host, device));
  } else {
    device.set_type(std::string(1, node.type));
    device.set_major_number(static_cast<uint32_t>(node.major));
    device.set_minor_number(static_cast<uint32_t>(node.minor));
  }
  if (node.mode) device.set_mode(*node.mode);
  if (node.uid) device.set_uid(*node.uid);
  if (node.gid) device.set_gid(*node.gid);
  auto& devices = *rootfs.mutable_devices();
  devices.erase(
      std::remove_if(devices.begin(), devices.end(), [&](const auto& d) { return d.path() == device.path(); }),
      devices.end());
  if (device.type() != "p" && node.permissions != "none") {
    auto& rule = *record.add_device_rules();
    rule.set_type(device.type());
    rule.set_major_number(device.major_number());
    rule.set_minor_number(device.minor_number());
    rule.set_access(node.permissions.empty() ? "rwm" : node.permissions);
  }
  *devices.Add() = std::move(device);
  return absl::OkStatus();
}

// The options of mount(8) that a bind mount can have. Ours bring along what is mounted below, so "bind" and "rbind" are one.
absl::Status SetOption(const std::string& option, shim::v1::Mount& mount) {
  if (option == "ro") {
    mount.set_readonly(true);
  } else if (option == "rro") {
    mount.set_readonly(true);
    mount.set_recursive_readonly(true);
  } else if (option == "nosuid") {
    mount.set_nosuid(true);
  } else if (option == "nodev") {
    mount.set_nodev(true);
  } else if (option == "noexec") {
    mount.set_noexec(true);
  } else if (option == "slave" || option == "rslave") {
    mount.set_propagation(shim::v1::HOST_TO_CONTAINER);
  } else if (option == "shared" || option == "rshared") {
    mount.set_propagation(shim::v1::BIDIRECTIONAL);
  } else if (option == "private" || option == "rprivate") {
    mount.set_propagation(shim::v1::PRIVATE);
  } else if (option != "bind" && option != "rbind" && option != "rw" && option != "suid" && option != "dev" &&
             option != "exec" && option != "relatime") {
    return absl::UnimplementedError(absl::StrCat("mounts.options: \"", option, "\" is not known"));
  }
  return absl::OkStatus();
}

absl::Status AddMount(const cdi::Mount& from, shim::v1::Rootfs& rootfs) {
  if (!from.type.empty() && from.type != "bind" && from.type != "none")
    return absl::UnimplementedError(absl::StrCat("mounts.type: \"", from.type, "\" is no bind mount"));
  shim::v1::Mount mount;
  mount.set_fs_type("bind");
  ASSIGN_OR_RETURN(*mount.mutable_source(), CleanPath(from.host_path, "mounts.hostPath"));
  ASSIGN_OR_RETURN(*mount.mutable_destination(), CleanPath(from.container_path, "mounts.containerPath"));
  if (mount.destination() == "/") return absl::InvalidArgumentError("mounts.containerPath is the root");
  for (const std::string& option : from.options) RETURN_IF_ERROR(SetOption(option, mount));
  auto& mounts = *rootfs.mutable_mounts();
  mounts.erase(std::remove_if(mounts.begin(), mounts.end(),
                              [&](const auto& m) { return m.destination() == mount.destination(); }),
               mounts.end());
  *mounts.Add() = std::move(mount);
  return absl::OkStatus();
}

// What is asked of the host: about devices, in their order, and then about mounts.
absl::StatusOr<std::vector<HostFile>> FilesOf(const cdi::Edits& edits) {
  std::vector<HostFile> files;
  for (const cdi::DeviceNode& node : edits.device_nodes) {
    if (!IsHosts(node)) continue;
    HostFile& file = files.emplace_back();
    file.field = "CDI_devices";
    ASSIGN_OR_RETURN_CTX(file.path, HostPath(node), file.field);
    file.follow = false;
  }
  for (const cdi::Mount& mount : edits.mounts) {
    HostFile& file = files.emplace_back();
    file.field = "CDI_devices";
    ASSIGN_OR_RETURN_CTX(file.path, CleanPath(mount.host_path, "mounts.hostPath"), file.field);
  }
  return files;
}

}  // namespace

absl::Status ApplyCdi(const cdi::Edits& edits, Looks& looks, Wanted wanted, store::ContainerRecord& record,
                      shim::v1::StartContainerRequest& spec) {
  RETURN_IF_ERROR(Refuse(edits));
  ASSIGN_OR_RETURN(const std::vector<HostFile> files, FilesOf(edits));
  ASSIGN_OR_RETURN(const Looks::Seen seen, LookAtHost(looks, record.pod_id(), files, wanted));
  auto host = seen.begin();
  for (const std::string& assignment : edits.env) SetVariable(assignment, *spec.mutable_process());
  for (const cdi::DeviceNode& node : edits.device_nodes)
    RETURN_IF_ERROR_CTX(AddNode(node, IsHosts(node) ? &*host++ : nullptr, record, *spec.mutable_rootfs()),
                        "CDI_devices");
  for (const cdi::Mount& mount : edits.mounts)
    RETURN_IF_ERROR_CTX(AddMount(mount, *spec.mutable_rootfs()), "CDI_devices");
  if (!edits.mounts.empty()) SortMounts(*spec.mutable_rootfs());
  RETURN_IF_ERROR(AddHooks(edits.hooks, record, spec));
  auto& groups = *spec.mutable_process()->mutable_user()->mutable_additional_groups();
  for (uint32_t gid : edits.additional_gids)
    if (std::find(groups.begin(), groups.end(), gid) == groups.end()) groups.Add(gid);
  return absl::OkStatus();
}

}  // namespace wherry::container
