// Which seccomp filter a container gets. The kubelet always says; an absent profile means unconfined, as with all peers.
#include <fcntl.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cri/container/core.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

using ::runtime::v1::SecurityProfile;

// The deprecated path says the same in one string: "", "unconfined", "runtime/default", "docker/default", "localhost/<path>".
absl::StatusOr<SecurityProfile> ProfileOf(const ::runtime::v1::LinuxContainerSecurityContext& security) {
  if (security.has_seccomp()) return security.seccomp();
  const std::string& old = security.seccomp_profile_path();
  SecurityProfile profile;
  profile.set_profile_type(SecurityProfile::Unconfined);
  if (old.empty() || old == "unconfined") return profile;
  if (old == "runtime/default" || old == "docker/default") {
    profile.set_profile_type(SecurityProfile::RuntimeDefault);
    return profile;
  }
  if (!absl::StartsWith(old, "localhost/")) {
    return absl::InvalidArgumentError(absl::StrCat("seccomp_profile_path: \"", old, "\" is not understood"));
  }
  profile.set_profile_type(SecurityProfile::Localhost);
  profile.set_localhost_ref(std::string(absl::StripPrefix(old, "localhost/")));
  return profile;
}

}  // namespace

bool HasLocalhostSeccomp(const ::runtime::v1::ContainerConfig& config) {
  if (SecurityOf(config).privileged()) return false;
  auto profile = ProfileOf(SecurityOf(config));
  return profile.ok() && profile->profile_type() == SecurityProfile::Localhost;
}

absl::Status SetSeccomp(Core& core, const ::runtime::v1::ContainerConfig& config, shim::v1::Process& process) {
  if (!process.seccomp_bpf().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*process.mutable_seccomp_bpf(), SeccompFilter(core, config, process.capabilities()));
  return absl::OkStatus();
}

absl::StatusOr<std::string> SeccompFilter(Core& core, const ::runtime::v1::ContainerConfig& config,
                                          const shim::v1::Capabilities& capabilities) {
  const auto& security = SecurityOf(config);
  if (security.privileged()) return std::string();
  ASSIGN_OR_RETURN(SecurityProfile profile, ProfileOf(security));
  switch (profile.profile_type()) {
    case SecurityProfile::Unconfined:
      return std::string();
    case SecurityProfile::RuntimeDefault:
      return core.seccomp.Default(capabilities.bounding());
    case SecurityProfile::Localhost: {
      ASSIGN_OR_RETURN(std::string path, CleanPath(profile.localhost_ref(), "seccomp.localhost_ref"));
      ASSIGN_OR_RETURN_CTX(std::string json, sys::ReadFileAt(AT_FDCWD, path), "seccomp profile");
      return core.seccomp.Json(json, capabilities.bounding());
    }
    default:
      return absl::InvalidArgumentError(absl::StrCat("seccomp: unknown profile type ", profile.profile_type()));
  }
}

}  // namespace wherry::container
