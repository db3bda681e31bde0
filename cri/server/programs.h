#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace wherry::server {

// Where one of wherry's own programs ("wherry-shim") is: in `libexec_dir` if that is given, else beside this program, else in
// /usr/libexec/wherry. NotFound says where it was looked for.
absl::StatusOr<std::string> FindProgram(const std::string& libexec_dir, const std::string& name);

}  // namespace wherry::server
