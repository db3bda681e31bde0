#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"

namespace wherry::process {

// execve(2) of process.args with process.env, plus HOME=`home` where that has none. Returns only on failure: NotFound,
// PermissionDenied, or InvalidArgument for a file that is no program. A seccomp filter may be in force already.
class Program {
 public:
  static absl::StatusOr<Program> Prepare(const shim::v1::Process& process, const std::string& home);
  absl::Status Execute() const;

 private:
  absl::Status Failure(const std::string& path, int err) const;

  std::vector<std::string> args_, env_;
  std::vector<std::string> candidates_;  // paths to try, in order
  std::string search_path_;              // "" when args[0] has a slash
};

}  // namespace wherry::process
