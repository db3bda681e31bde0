#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "cri/image/layer_tree.h"
#include "runtime/sys/unique_fd.h"

// The archive that an image comes in: a tar file, plain or compressed as a whole, with the blobs as members. One pass over the
// headers notes where each member's bytes are; the layers are then read from there, in parallel, and never extracted.
namespace wherry::image {

class ArchiveFile {
 public:
  struct Extent {
    uint64_t offset = 0;
    uint64_t size = 0;
  };

  // Reads the directory of `fd`, a regular file. A compressed archive is first decompressed into an unnamed file below
  // `spool_dir`, since a member's position means nothing inside a gzip stream; that counts against `budget` meanwhile.
  static absl::StatusOr<ArchiveFile> Open(sys::UniqueFd fd, int spool_dir, DiskBudget& budget);

  // Where the regular file `name` is; symbolic links between members (docker save writes them for equal layers) are followed.
  // NotFound.
  absl::StatusOr<Extent> Find(const std::string& name) const;
  // The member's contents; InvalidArgument when it is larger than `max`.
  absl::StatusOr<std::string> Read(const std::string& name, size_t max) const;
  bool Has(const std::string& name) const { return Find(name).ok(); }
  int fd() const { return fd_.get(); }

 private:
  explicit ArchiveFile(sys::UniqueFd fd) : fd_(std::move(fd)) {}
  absl::Status Index();

  sys::UniqueFd fd_;
  std::map<std::string, Extent> files_;
  std::map<std::string, std::string> links_;  // name → normalised target
};

}  // namespace wherry::image
