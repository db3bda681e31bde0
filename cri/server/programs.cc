#include "cri/server/programs.h"

#include <unistd.h>

#include <filesystem>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace wherry::server {

absl::StatusOr<std::string> FindProgram(const std::string& libexec_dir, const std::string& name) {
  std::vector<std::string> directories = {libexec_dir};
  if (libexec_dir.empty()) {
    std::error_code error;
    directories = {std::filesystem::read_symlink("/proc/self/exe", error).parent_path(), "/usr/libexec/wherry"};
  }
  for (const std::string& directory : directories) {
    std::string path = absl::StrCat(directory, "/", name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::NotFoundError(absl::StrCat(name, " is neither in ", absl::StrJoin(directories, " nor in ")));
}

}  // namespace wherry::server
