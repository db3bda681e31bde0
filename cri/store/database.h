#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

// The durable half of the store: one table of opaque records in a SQLite database with a write-ahead log.
namespace wherry::store {

class Checkpointer;

enum class Kind { kPod = 1, kContainer = 2 };

// One record to write, or (without data) to delete.
struct Change {
  Kind kind;
  std::string id;
  std::optional<std::string> data;
};

// Used by one thread at a time.
class Database {
 public:
  // Makes the file (0600) if need be. FailedPrecondition when a newer wherryd wrote it.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();

  using Visitor = std::function<absl::Status(absl::string_view id, absl::string_view data)>;
  // Every record of a kind; stops at the visitor's first error.
  absl::Status ForEach(Kind kind, const Visitor& visit);
  // All changes in one transaction, in their order; either all are made or none. ResourceExhausted when the disk is full.
  absl::Status Commit(const std::vector<const Change*>& changes);

 private:
  Database();
  absl::Status Prepare();
  absl::Status Migrate();
  absl::Status Run(const char* sql);
  absl::Status Apply(const Change& change);
  absl::Status Error(absl::string_view call);

  struct Close {
    void operator()(sqlite3* db) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;
  absl::StatusOr<Statement> Compile(const char* sql);

  std::string path_;
  std::unique_ptr<sqlite3, Close> db_;
  Statement put_, remove_;
  std::unique_ptr<Checkpointer> checkpointer_;
};

}  // namespace wherry::store
