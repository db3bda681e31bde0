#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/sys/child.h"

// AppArmor profiles of this node.
namespace wherry::apparmor {

inline constexpr char kDefaultProfile[] = "wherry-default";

// OK when profiles can be given to processes: the kernel has AppArmor switched on and its list of profiles can be read
// (securityfs is mounted). FailedPrecondition says what is missing.
absl::Status CheckHost();

// Names of the profiles in the text of securityfs' apparmor/profiles, whose lines are "NAME (MODE)". NAME may hold spaces and parentheses.
std::vector<std::string> ParseProfiles(absl::string_view text);

// Whether the kernel has a profile of exactly this name now.
absl::StatusOr<bool> IsLoaded(const std::string& name);

// The default profile in the language of apparmor.d(5).
absl::string_view DefaultProfileText();

// Brings the default profile into the kernel. Thread-safe.
class Loader {
 public:
  // OK when EnsureDefault has what it needs: the profile is loaded, or its compiler is installed. FailedPrecondition says what to install.
  static absl::Status CheckDefault();

  // Loads the default profile unless the kernel has one of its name. Several callers at once may each load it: that is the same profile.
  absl::Status EnsureDefault();

 private:
  sys::Children children_;
};

}  // namespace wherry::apparmor
