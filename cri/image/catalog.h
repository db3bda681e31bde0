#pragma once

#include <map>
#include <memory>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/database.h"
#include "cri/image/pinned_names.h"
#include "cri/image/store.h"

// The store's memory: images, their names, layers, and who needs what. It does no I/O; one thread changes it (after the change was
// committed to the database), any thread reads. Its lock is held for map look-ups only.
namespace wherry::image {

class Catalog {
 public:
  struct Entry {
    std::shared_ptr<const Image> image;
    pb::ImageRecord record;
  };

  explicit Catalog(PinnedNames pinned) : pinned_(std::move(pinned)) {}

  // The state at start.
  void Load(std::vector<pb::ImageRecord> images, std::vector<pb::LayerRecord> layers);
  // What was committed.
  void Apply(const Change& change);

  std::vector<std::shared_ptr<const Image>> List() const;
  absl::StatusOr<std::shared_ptr<const Image>> Find(const std::string& ref) const;
  // The record of an image, removed ones included; NotFound.
  absl::StatusOr<pb::ImageRecord> Record(const std::string& id) const;
  std::vector<pb::ImageRecord> Records() const;
  // Whether it is there and, as far as is known, whole.
  bool HasLayer(const std::string& diff_id) const;
  // NotFound.
  absl::StatusOr<pb::LayerRecord> Layer(const std::string& diff_id) const;
  pb::LayerRecord Total() const;  // sums; no diff_id

  // An import that counts on these layers: they stay until Unpin with the same list. Returns those that are missing.
  std::vector<std::string> Pin(const std::set<std::string>& diff_ids);
  void Unpin(const std::set<std::string>& diff_ids);

  // NotFound when there is no such image, removed ones included. Returns its diffIDs.
  absl::StatusOr<std::vector<std::string>> Hold(const std::string& id, const std::string& holder);
  // True when a removed image, or a directory of a layer that was replaced, may have become unneeded.
  bool Release(const std::string& holder);

  struct Garbage {
    Change change;
    std::vector<std::string> directories;  // of layers
  };
  // Forgets what nobody needs, removed images without holders, layers without an image or pin, and directories of damaged layers
  // that no container has from before they were unpacked anew; and says what that was: from here on nobody can hold or pin it, so
  // that its records and files can go at leisure.
  Garbage TakeGarbage();

 private:
  // A directory of a layer that was replaced, for those who had it.
  struct OldDirectory {
    std::string diff_id;
    uint32_t generation;
    bool known;  // false after a start: whoever holds the layer then may have it
    std::set<std::string> holders;
  };
  void Replace(const pb::LayerRecord& layer);
  std::set<std::string> HoldersOf(const std::string& diff_id) const;
  void TakeOldDirectories(Garbage& garbage);
  std::shared_ptr<const Image> Build(const pb::ImageRecord& record) const;
  absl::StatusOr<std::shared_ptr<const Image>> FindByPrefix(const std::string& hex) const;
  std::shared_ptr<const Image> Visible(const std::string& id) const;

  const PinnedNames pinned_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry> images_;       // by id
  std::map<std::string, std::string> names_;  // tag or digest reference → id; of images that are not removed
  std::map<std::string, pb::LayerRecord> layers_;
  std::vector<OldDirectory> old_;
  std::map<std::string, int> pins_;                       // diffID → imports
  std::map<std::string, std::set<std::string>> holders_;  // holder → image ids
};

}  // namespace wherry::image
