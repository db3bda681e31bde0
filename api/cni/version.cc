#include "api/cni/version.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace wherry::cni {
namespace {

size_t Rank(absl::string_view version) {
  return static_cast<size_t>(std::find(kVersions.begin(), kVersions.end(), version) - kVersions.begin());
}

}  // namespace

bool IsSupportedVersion(absl::string_view version) { return Rank(version) < kVersions.size(); }

bool VersionAtLeast(absl::string_view a, absl::string_view b) { return Rank(a) >= Rank(b); }

bool IsSafeName(absl::string_view name) {
  if (name.empty() || !absl::ascii_isalnum(static_cast<unsigned char>(name.front()))) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace wherry::cni
