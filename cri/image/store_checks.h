#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/catalog.h"
#include "cri/image/database.h"
#include "cri/image/store.h"
#include "cri/image/store_dirs.h"
#include "cri/image/task_queue.h"

namespace wherry::image {

// The store's layers as they are on disk: whether they are whole, and out again as an archive. See ImageStore for what is promised.
class StoreChecks {
 public:
  // The store's own.
  struct Parts {
    Catalog& catalog;
    Database& database;  // of the writer's thread
    const StoreDirs& dirs;
    TaskQueue& writer;
    const std::string& pull_program;
  };
  explicit StoreChecks(const Parts& parts) : parts_(parts) {}

  // FailedPrecondition when the layer, whose directory is `path`, is known or seen to be damaged.
  absl::Status CheckAtUse(const pb::LayerRecord& layer, const std::string& path);
  // After both of these there may be garbage: layers may have lost their last other need meanwhile.
  absl::StatusOr<std::vector<LayerFindings>> Verify(const std::vector<std::string>& refs);
  absl::Status Export(const std::string& ref, const ImageStore::Sink& sink);

 private:
  absl::Status MarkDamaged(const std::vector<LayerFindings>& checked);
  absl::StatusOr<std::vector<pb::LayerRecord>> RecordsOf(const std::set<std::string>& diff_ids) const;
  absl::Status ExportPinned(const Image& image, const std::string& ref, const ImageStore::Sink& sink);

  const Parts parts_;
};

}  // namespace wherry::image
