#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"

// Who a process runs as: what an image or a request says ("nginx", "33:tape"), resolved in the container's own root.
namespace wherry::security {

struct ResolvedUser {
  shim::v1::User user;  // groups holds the primary gid too, sorted, each once
  std::string home;     // from /etc/passwd, else "/"
};

// Rules: shim.proto, UserSpec. A number needs no entry in /etc/passwd, a name does. A number is never looked up as a name
// (CVE-2026-46680), and one beyond the range is refused (CVE-2024-40635).
// InvalidArgument: an unknown user or group, a bad number. FailedPrecondition: an unusable /etc/passwd or /etc/group from which more is
// wanted than the home.
absl::StatusOr<ResolvedUser> ResolveUser(int root, const shim::v1::UserSpec& spec);

}  // namespace wherry::security
