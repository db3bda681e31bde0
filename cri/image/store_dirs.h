#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// The store's directories: <root>/images/{layers,indexes,staging}, and who may use them.
//   layers/<name>    published layers; overlayfs lowerdirs
//   indexes/<name>   what they were when they were unpacked, see layer_index.h
//   staging/<id>     one for each running import, and what is about to be deleted
//   lock             record lock of the running wherryd
//   pull.lock        flock(2) shared with its wherry-pull processes, which may outlive a killed wherryd for a moment
namespace wherry::image {

inline constexpr char kLayersDir[] = "layers", kIndexesDir[] = "indexes";

class StoreDirs {
 public:
  // Makes the directories (0700) and takes the locks. FailedPrecondition when another wherryd has them; waits for the last
  // wherry-pull of a killed one to notice and end. Then empties staging/.
  static absl::StatusOr<StoreDirs> Open(const std::string& root);

  const std::string& path() const { return path_; }
  std::string LayerPath(const std::string& name) const;
  std::string DatabasePath() const { return path_ + "/images.db"; }
  int top() const { return top_.get(); }
  int staging() const { return staging_.get(); }
  int pull_lock() const { return pull_lock_.get(); }

  // The names of all published layers, and of all indexes.
  absl::StatusOr<std::set<std::string>> LayerNames() const;
  absl::StatusOr<std::set<std::string>> IndexNames() const;
  // Moves the directory `name` from the import directory `from` to the layers, as `to`, and its index before it. AlreadyExists when
  // there is such a layer.
  absl::Status Publish(int from, const std::string& name, const std::string& to) const;
  // Makes earlier Publish calls durable.
  absl::Status SyncLayers() const;
  // Takes a layer's directory out of layers/ and returns its new name in staging/, to be deleted at leisure.
  absl::StatusOr<std::string> Retire(const std::string& name) const;
  void RemoveIndex(const std::string& name) const;

 private:
  StoreDirs() = default;
  std::string path_;
  sys::UniqueFd top_, layers_, indexes_, staging_, lock_, pull_lock_;
};

// 16 random hex digits.
std::string RandomName();

}  // namespace wherry::image
