#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "runtime/cgroup/cgroup.h"

// Pressure stall information. The files are part of every v2 cgroup but the root, whatever controllers it has.
namespace wherry::cgroup {

// A *.pressure file: lines of "some avg10=N avg60=N avg300=N total=N" and "full …". Unset when it has neither.
std::optional<Pressure> ParsePressure(absl::string_view text);

// Of the v2 cgroup `dir`. Without PSI in the kernel there are no files; where it is compiled in but switched off (psi=0, or
// cgroup.pressure), reading them fails: both mean unset.
Pressures ReadPressuresOf(const std::string& dir);

}  // namespace wherry::cgroup
