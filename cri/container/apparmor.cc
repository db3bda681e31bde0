// Which AppArmor profile a container gets. A container that says nothing has the default profile where the host can give it, as with
// all peers since Kubernetes had AppArmor at all; one that asks for a profile by name or type and cannot have it is refused.
#include "runtime/apparmor/apparmor.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cri/container/spec.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

using ::runtime::v1::SecurityProfile;

constexpr absl::string_view kLocalhost = "localhost/";

// The deprecated string says the same in one word. Both unset: no profile is returned.
absl::StatusOr<std::optional<SecurityProfile>> ProfileOf(const ::runtime::v1::LinuxContainerSecurityContext& security) {
  if (security.has_apparmor()) return security.apparmor();
  absl::string_view old = security.apparmor_profile();
  SecurityProfile profile;
  if (old.empty()) return std::nullopt;
  if (old == "runtime/default") {
    profile.set_profile_type(SecurityProfile::RuntimeDefault);
  } else if (old == "unconfined") {
    profile.set_profile_type(SecurityProfile::Unconfined);
  } else if (absl::ConsumePrefix(&old, kLocalhost)) {
    profile.set_profile_type(SecurityProfile::Localhost);
    profile.set_localhost_ref(std::string(old));
  } else {
    return absl::InvalidArgumentError(absl::StrCat("apparmor_profile: \"", old, "\" is not understood"));
  }
  return profile;
}

absl::StatusOr<std::string> LocalhostName(const SecurityProfile& profile) {
  absl::string_view name = profile.localhost_ref();
  // Clients that know the old string alone write it into the new field too.
  absl::ConsumePrefix(&name, kLocalhost);
  if (name.empty()) return absl::InvalidArgumentError("apparmor.localhost_ref is empty");
  return std::string(name);
}

}  // namespace

absl::StatusOr<std::string> AppArmorProfile(const ::runtime::v1::LinuxContainerSecurityContext& security,
                                            const HostFacts& host) {
  if (security.privileged()) return std::string();
  ASSIGN_OR_RETURN(std::optional<SecurityProfile> profile, ProfileOf(security));
  if (!profile) return host.apparmor.ok() && host.apparmor_default.ok() ? apparmor::kDefaultProfile : std::string();
  if (profile->profile_type() != SecurityProfile::Localhost && !profile->localhost_ref().empty())
    return absl::InvalidArgumentError("apparmor.localhost_ref is set, but the type is not Localhost");
  switch (profile->profile_type()) {
    case SecurityProfile::Unconfined:
      return std::string();
    case SecurityProfile::RuntimeDefault:
      RETURN_IF_ERROR_CTX(host.apparmor, "apparmor: RuntimeDefault");
      RETURN_IF_ERROR_CTX(host.apparmor_default, "apparmor: RuntimeDefault");
      return apparmor::kDefaultProfile;
    case SecurityProfile::Localhost: {
      ASSIGN_OR_RETURN(std::string name, LocalhostName(*profile));
      RETURN_IF_ERROR_CTX(host.apparmor, absl::StrCat("apparmor: Localhost \"", name, "\""));
      return name;
    }
    default:
      return absl::InvalidArgumentError(absl::StrCat("apparmor: unknown profile type ", profile->profile_type()));
  }
}

}  // namespace wherry::container
