#pragma once

#include <string>

#include "absl/strings/string_view.h"

// Ids of pods, containers and execs. They become file names, cgroup names and CNI container ids, so their alphabet is
// narrow and they are checked wherever a name on disk is taken for one.
namespace wherry::container {

// 256 random bits from getrandom(2), as 64 lower-case hexadecimal digits.
std::string NewId();

// True for exactly what NewId() can return.
bool IsId(absl::string_view text);

}  // namespace wherry::container
