#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// A seccomp profile as data: what the OCI runtime specification calls linux.seccomp and what Localhost profiles hold, with
// the conditions on capabilities, architectures and kernel that container tools add to it.
namespace wherry::seccomp {

enum class Action { kAllow, kErrno, kKillProcess, kKillThread, kTrap, kTrace, kLog };

enum class Compare { kNe, kLt, kLe, kEq, kGe, kGt, kMaskedEq };

// A condition on one argument (0..5). For kMaskedEq: (argument & value) == value_two.
struct Argument {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t value_two = 0;
  Compare op = Compare::kEq;
};

// Applies `action` to each named system call when all arguments match and the condition on the container holds.
struct Rule {
  std::vector<std::string> names;
  Action action = Action::kAllow;
  std::optional<uint32_t> errno_value;  // for kErrno; EPERM when unset
  std::vector<Argument> args;
  std::vector<std::string> include_caps;    // only with all of these capabilities, "CAP_…"
  std::vector<std::string> exclude_caps;    // not with any of these
  std::vector<std::string> include_arches;  // seccomp names: "amd64" "x86" "arm64" …
  std::vector<std::string> exclude_arches;
  std::string min_kernel;  // "4.8"; empty: any
};

struct Profile {
  Action default_action = Action::kErrno;
  std::optional<uint32_t> default_errno;
  std::vector<std::string> architectures;  // SCMP_ARCH_…; the native one is always in
  std::vector<std::string> flags;          // SECCOMP_FILTER_FLAG_…
  std::vector<Rule> rules;
};

// Reads a JSON profile. InvalidArgument names what is wrong; unknown members, actions, operators and flags are refused,
// because a profile that is half understood is not the profile that was asked for. `text` at most 1 MiB.
absl::StatusOr<Profile> Parse(absl::string_view text);

// wherry's profile for RuntimeDefault; default_profile.cc argues it.
Profile DefaultProfile();

}  // namespace wherry::seccomp
