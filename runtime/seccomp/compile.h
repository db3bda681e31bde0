#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/seccomp/profile.h"

namespace wherry::seccomp {

// A profile as the kernel takes it: an array of struct sock_filter (seccomp(2)), for a container that has `capabilities`
// (bit n = capability n). libseccomp sorts the comparisons into a binary tree, so that a call costs about ten instructions
// whatever the profile's length; the kernel (5.11) then caches calls that are always allowed in a bitmap.
// Errors: InvalidArgument names the rule that cannot be expressed.
absl::StatusOr<std::string> Compile(const Profile& profile, uint64_t capabilities);

}  // namespace wherry::seccomp
