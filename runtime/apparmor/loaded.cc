// What the kernel says of AppArmor. A profile is named by whoever asks for it and the name goes to the kernel, which understands more than
// names there: "a//&b" is a stack of two, ":ns:a" looks into another policy namespace. So what is asked for has to be in the kernel's list,
// letter for letter, before it is used.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/apparmor/apparmor.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::apparmor {
namespace {

constexpr char kEnabled[] = "/sys/module/apparmor/parameters/enabled";
constexpr char kProfiles[] = "/sys/kernel/security/apparmor/profiles";
constexpr size_t kProfilesMax = 16 << 20;

}  // namespace

absl::Status CheckHost() {
  auto enabled = sys::ReadFileAt(AT_FDCWD, kEnabled, 16);
  if (!enabled.ok() || enabled->empty() || enabled->front() != 'Y')
    return absl::FailedPreconditionError("this host has no AppArmor");
  if (::access(kProfiles, R_OK) != 0)
    return absl::FailedPreconditionError(
        absl::StrCat("this host has AppArmor, but \"", kProfiles, "\" cannot be read: mount securityfs"));
  return absl::OkStatus();
}

std::vector<std::string> ParseProfiles(absl::string_view text) {
  std::vector<std::string> names;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const size_t mode = line.rfind(" (");
    if (mode != absl::string_view::npos && mode != 0) names.emplace_back(line.substr(0, mode));
  }
  return names;
}

absl::StatusOr<bool> IsLoaded(const std::string& name) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, kProfiles, kProfilesMax));
  const std::vector<std::string> names = ParseProfiles(text);
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace wherry::apparmor
