#pragma once

#include <array>
#include <string>

#include "absl/strings/string_view.h"

// Versions of the CNI specification that documents are read and written in. 0.1.0 and 0.2.0 had a result of another
// shape (ip4/ip6) and no plugin lists; they are refused.
namespace wherry::cni {

inline constexpr std::array<const char*, 5> kVersions = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
inline constexpr char kNewestVersion[] = "1.1.0";

bool IsSupportedVersion(absl::string_view version);

// Whether supported version `a` is at least supported version `b`.
bool VersionAtLeast(absl::string_view a, absl::string_view b);

// A name that the specification allows for networks and containers: an alphanumeric character, then alphanumerics,
// '_', '.', '-'. Plugin types are held to it too, since they become a file name (CVE-2021-20206).
bool IsSafeName(absl::string_view name);

}  // namespace wherry::cni
