#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::cli {

// An archive as wherryd can open it: by a path on its host. What has none, standard input or the directory of an image layout, is
// copied into an unnamed file first, which is gone with this process; its path is the one that proc(5) gives descriptors.
class ArchivePath {
 public:
  // `file` is a path, or "-".
  static absl::StatusOr<ArchivePath> Make(const std::string& file);
  const std::string& path() const { return path_; }

 private:
  explicit ArchivePath(std::string path) : path_(std::move(path)) {}
  explicit ArchivePath(sys::UniqueFd file);

  sys::UniqueFd file_;
  std::string path_;
};

}  // namespace wherry::cli
