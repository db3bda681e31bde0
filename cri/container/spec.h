#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/oci/image.h"
#include "api/shim/v1/shim.pb.h"
#include "cri/config/config.h"
#include "cri/container/paths.h"
#include "cri/store/records.pb.h"
#include "runtime/selinux/selinux.h"

// From a CRI request and an image to what the shim is told: one plain function per part, without side effects, so that
// every rule can be tested alone. A field that cannot be honoured is refused by its name.
namespace wherry::container {

// What this host can and cannot enforce; looked up once.
struct HostFacts {
  uint64_t capabilities = 0;              // that containers may be given
  absl::Status selinux;                   // OK, or why no container is given a label
  selinux::Labels selinux_labels;         // what the policy has for containers
  absl::Status apparmor;                  // OK, or why no process can be given a profile
  absl::Status apparmor_default;          // OK, or why wherry's own cannot be loaded
  bool recursive_read_only = false;       // mount_setattr(2), Linux 5.12
  absl::Status user_namespaces;           // OK, or what is missing for pods to have one
  std::vector<std::string> masked_paths;  // in containers whose request says nothing
  static HostFacts Probe(const config::Config& config);
};

// Directories of the layers of images by the image's id, topmost first.
using ImageLayers = std::map<std::string, std::vector<std::string>>;

struct SpecInput {
  const std::string& id;
  const ::runtime::v1::ContainerConfig& config;
  const store::PodRecord& pod;
  const oci::ImageConfig& image;
  const std::vector<std::string>& lowerdirs;  // topmost first
  const ImageLayers& mounted_images;
  const Paths& paths;
  const HostFacts& host;
  const config::Handler& handler;
};

// All but the cgroup, which exists from Start on.
absl::StatusOr<shim::v1::StartContainerRequest> BuildSpec(const SpecInput& input);

// Whether anything is asked for: the kubelet sends the message only for pods that name a label.
bool AsksForLabel(const ::runtime::v1::SELinuxOption& options);

// The name of the profile that the container's processes get, as it is asked for; empty for none. FailedPrecondition when the host cannot
// give it. Whether the kernel has a profile of this name is not looked at.
absl::StatusOr<std::string> AppArmorProfile(const ::runtime::v1::LinuxContainerSecurityContext& security,
                                            const HostFacts& host);

// `labels` with what the options say in place: users and levels of processes and files alike. InvalidArgument, beginning with the part's
// name, for what cannot be in a label. Whether the policy has such a label is not looked at.
absl::StatusOr<selinux::Labels> Overlay(const selinux::Labels& labels, const ::runtime::v1::SELinuxOption& options);

// The parts.
absl::Status CheckSecurity(const SpecInput& input);  // security.cc
absl::Status SetNamespaces(const SpecInput& input, shim::v1::StartContainerRequest& spec);
absl::Status SetLabels(const SpecInput& input,
                       shim::v1::StartContainerRequest& spec);           // selinux.cc; after SetNamespaces
absl::StatusOr<shim::v1::Process> BuildProcess(const SpecInput& input);  // process.cc
absl::StatusOr<shim::v1::UserSpec> BuildUser(const ::runtime::v1::LinuxContainerSecurityContext& security,
                                             const oci::ImageConfig& image);
absl::Status AddMounts(const SpecInput& input, shim::v1::Rootfs& rootfs);  // mounts.cc
// Parents before children, otherwise in the order in which they are.
void SortMounts(shim::v1::Rootfs& rootfs);
absl::Status ImageVolumeFailed(const absl::Status& cause);
// A volume whose content is an image. All its errors begin with "ImageVolumeMountFailed", which the kubelet looks for.
absl::StatusOr<shim::v1::Mount> ImageMount(const ::runtime::v1::Mount& mount, const SpecInput& input,
                                           const std::string& field);            // image_mounts.cc
absl::Status AddImageVolumes(const SpecInput& input, shim::v1::Rootfs& rootfs);  // volumes.cc

// Absolute, without "." and empty components; InvalidArgument when relative, or with ".." or a NUL.
absl::StatusOr<std::string> CleanPath(const std::string& path, const std::string& field);

inline const ::runtime::v1::LinuxContainerSecurityContext& SecurityOf(const ::runtime::v1::ContainerConfig& config) {
  return config.linux().security_context();
}
inline const ::runtime::v1::NamespaceOption& NamespacesOf(const store::PodRecord& pod) {
  return pod.config().linux().security_context().namespace_options();
}

}  // namespace wherry::container
