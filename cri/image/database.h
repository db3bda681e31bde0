#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/records.pb.h"

struct sqlite3;

// images.db: which images and layers exist, one protobuf each (SQLite, WAL). Used by one thread at a time; the store keeps all
// records in memory and comes here to write. synchronous=FULL: what was said to be done outlives a power cut, at the price of one
// fsync(2) a change. Layer directories without a record are removed at the next start, and records without their directories too.
namespace wherry::image {

struct Change {
  std::vector<pb::ImageRecord> put_images;
  std::vector<std::string> delete_images;
  std::vector<pb::LayerRecord> put_layers;
  std::vector<std::string> delete_layers;
  std::vector<std::pair<std::string, std::string>>
      put_configs;  // image id → its configuration as it came; goes with the image
};

class Database {
 public:
  // Opens or makes the file (0600). FailedPrecondition when a newer program has written it.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  explicit Database(sqlite3* db) : db_(db) {}  // takes it over
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::StatusOr<std::vector<pb::ImageRecord>> LoadImages();
  absl::StatusOr<std::vector<pb::LayerRecord>> LoadLayers();
  // The configuration's text; NotFound for images of versions that did not keep it. It is not kept in memory.
  absl::StatusOr<std::string> LoadConfig(const std::string& id);
  // All or nothing.
  absl::Status Commit(const Change& change);

 private:
  absl::Status Exec(const char* sql);
  absl::Status Prepare();
  absl::Status Put(const char* sql, const std::string& id, const std::string& record);
  absl::Status Delete(const char* sql, const std::string& id);
  template <typename Record>
  absl::StatusOr<std::vector<Record>> Load(const char* sql);
  absl::Status Apply(const Change& change);

  sqlite3* db_;
};

}  // namespace wherry::image
