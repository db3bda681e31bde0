// The mounts of a container beyond the default file systems: the three files that the runtime gives every pod, unless the
// request mounts its own there, and the volumes of the request, parents before children.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cri/container/spec.h"
#include "cri/container/user_namespace.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::StatusOr<shim::v1::Propagation> ToPropagation(const ::runtime::v1::Mount& mount, const std::string& field) {
  switch (mount.propagation()) {
    case ::runtime::v1::PROPAGATION_PRIVATE:
      return shim::v1::PRIVATE;
    case ::runtime::v1::PROPAGATION_HOST_TO_CONTAINER:
      return shim::v1::HOST_TO_CONTAINER;
    case ::runtime::v1::PROPAGATION_BIDIRECTIONAL:
      return shim::v1::BIDIRECTIONAL;
    default:
      return absl::InvalidArgumentError(absl::StrCat(field, ".propagation: unknown value ", mount.propagation()));
  }
}

absl::Status RefuseUnsupported(const ::runtime::v1::Mount& mount, const HostFacts& host, const std::string& field) {
  if (mount.recursive_read_only() && (!mount.readonly() || mount.propagation() != ::runtime::v1::PROPAGATION_PRIVATE)) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".recursive_read_only: needs readonly and private propagation"));
  }
  if (mount.recursive_read_only() && !host.recursive_read_only) {
    return absl::UnimplementedError(absl::StrCat(field, ".recursive_read_only: this kernel has no mount_setattr"));
  }
  return absl::OkStatus();
}

absl::StatusOr<shim::v1::Mount> Translate(const ::runtime::v1::Mount& mount, const SpecInput& input, int index) {
  std::string field = absl::StrCat("mounts[", index, "]");
  if (mount.has_image() || !mount.image_sub_path().empty()) return ImageMount(mount, input, field);
  RETURN_IF_ERROR(RefuseUnsupported(mount, input.host, field));
  shim::v1::Mount result;
  ASSIGN_OR_RETURN(*result.mutable_destination(), CleanPath(mount.container_path(), field + ".container_path"));
  ASSIGN_OR_RETURN(*result.mutable_source(), CleanPath(mount.host_path(), field + ".host_path"));
  if (result.destination() == "/") return absl::InvalidArgumentError(field + ".container_path is the root");
  ASSIGN_OR_RETURN(const bool idmapped, IsIdmapped(mount, input.pod.config(), field));
  result.set_idmapped(idmapped);
  ASSIGN_OR_RETURN(shim::v1::Propagation propagation, ToPropagation(mount, field));
  result.set_propagation(propagation);
  result.set_fs_type("bind");
  result.set_readonly(mount.readonly());
  result.set_recursive_readonly(mount.recursive_read_only());
  return result;
}

shim::v1::Mount PodFile(const std::string& source, const std::string& destination, bool readonly) {
  shim::v1::Mount mount;
  mount.set_destination(destination);
  mount.set_source(source);
  mount.set_fs_type("bind");
  mount.set_readonly(readonly);
  return mount;
}

size_t Depth(const shim::v1::Mount& mount) {
  return std::count(mount.destination().begin(), mount.destination().end(), '/');
}

}  // namespace

absl::StatusOr<std::string> CleanPath(const std::string& path, const std::string& field) {
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos || path.size() >= 4096) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": \"", path, "\" is no absolute path"));
  }
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == "..") return absl::InvalidArgumentError(absl::StrCat(field, ": \"", path, "\" goes up (..)"));
    parts.push_back(part);
  }
  return absl::StrCat("/", absl::StrJoin(parts, "/"));
}

absl::Status AddMounts(const SpecInput& input, shim::v1::Rootfs& rootfs) {
  std::vector<shim::v1::Mount> mounts;
  std::set<std::string> destinations;
  for (int i = 0; i < input.config.mounts_size(); ++i) {
    ASSIGN_OR_RETURN(shim::v1::Mount mount, Translate(input.config.mounts(i), input, i));
    destinations.insert(mount.destination());
    mounts.push_back(std::move(mount));
  }
  const std::string& pod = input.pod.id();
  bool readonly = rootfs.readonly();
  const std::pair<const char*, std::string> files[] = {
      {"/etc/resolv.conf", input.paths.resolv_conf(pod)},
      {"/etc/hostname", input.paths.hostname(pod)},
      {"/etc/hosts", input.paths.hosts(pod)},
  };
  for (const auto& [destination, source] : files) {
    if (destinations.count(destination) == 0) mounts.push_back(PodFile(source, destination, readonly));
  }
  for (auto& mount : mounts) *rootfs.add_mounts() = std::move(mount);
  SortMounts(rootfs);
  return absl::OkStatus();
}

void SortMounts(shim::v1::Rootfs& rootfs) {
  std::stable_sort(rootfs.mutable_mounts()->begin(), rootfs.mutable_mounts()->end(),
                   [](const auto& a, const auto& b) { return Depth(a) < Depth(b); });
}

}  // namespace wherry::container
