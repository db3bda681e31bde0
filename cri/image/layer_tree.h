#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "cri/image/layer_reader.h"
#include "runtime/sys/unique_fd.h"

// Writes a layer's entries into a directory, in the form in which overlayfs takes it as a lower layer: deletions are character
// devices 0:0, opaque directories carry trusted.overlay.opaque. The parent layers are not needed for that, so that layers can be
// unpacked in any order and shared between images.
namespace wherry::image {

// What an import may still write to the disk, shared by its layers' threads.
class DiskBudget {
 public:
  explicit DiskBudget(uint64_t bytes) : left_(static_cast<int64_t>(bytes)) {}
  // False when `bytes` more would exceed it.
  bool Take(uint64_t bytes) { return left_.fetch_sub(static_cast<int64_t>(bytes)) >= static_cast<int64_t>(bytes); }
  int64_t left() const { return left_; }

 private:
  std::atomic<int64_t> left_;
};

struct LayerUsage {
  uint64_t bytes = 0;  // in blocks of 4 KiB, holes excluded
  uint64_t inodes = 0;
  bool xattrs = false;  // some node has one
};

class LayerTree {
 public:
  // `root` is an empty directory that nobody else writes to. The process's umask must be 0 and its credentials those of root.
  static absl::StatusOr<std::unique_ptr<LayerTree>> Open(sys::UniqueFd root, DiskBudget& budget);
  virtual ~LayerTree() = default;

  // Makes one entry, taking a file's data from `reader`. A later entry replaces an earlier one of its name; two directories
  // merge. InvalidArgument when the path leads through a symbolic link or a file, or a hard link's target is not in this layer.
  virtual absl::Status Add(const LayerEntry& entry, LayerReader& reader) = 0;
  // Sets what must come last: the directories' times and setgid bits. Once, after all entries.
  virtual absl::StatusOr<LayerUsage> Finish() = 0;
};

}  // namespace wherry::image
