#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cri/v1/api.pb.h"
#include "api/shim/v1/shim.pb.h"

// User namespaces as CRI asks for them: one range of uids and one of gids for the whole pod. Layers and volumes keep their
// owners on disk and are seen through idmapped mounts; what wherry makes for the pod is given to the namespace's root.
namespace wherry::container {

// InvalidArgument unless the options of a sandbox are ones that can be had: mode NODE, or mode POD with one mapping of each
// kind that begins at container id 0 and not at the host's root, and with IPC and PID namespaces that are not the host's.
absl::Status CheckUserNamespace(const ::runtime::v1::NamespaceOption& sandbox);

// Of options that passed CheckUserNamespace; unset when the user namespace is the host's.
std::optional<shim::v1::UserNamespace> UserNamespaceOf(const ::runtime::v1::PodSandboxConfig& pod);

// Whether `mount` is to be idmapped. InvalidArgument, beginning with `field`, for mappings that are not the pod's.
absl::StatusOr<bool> IsIdmapped(const ::runtime::v1::Mount& mount, const ::runtime::v1::PodSandboxConfig& pod,
                                const std::string& field);

// chown(2) of a file of ours to what `uid` and `gid` of the pod are on the host; a symbolic link is not followed.
absl::Status GiveToPod(const std::string& path, const ::runtime::v1::PodSandboxConfig& pod, uid_t uid = 0,
                       gid_t gid = 0);

}  // namespace wherry::container
