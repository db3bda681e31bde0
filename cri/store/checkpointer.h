#pragma once

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

struct sqlite3;

namespace wherry::store {

// Folds the write-ahead log back into the database, on a thread and a connection of its own. SQLite would do it inside
// the commit that crosses a threshold, and that commit (some pod's start) would then wait for two fsyncs, tens of
// milliseconds on a plain disk. A passive checkpoint neither blocks a writer nor waits for one.
class Checkpointer {
 public:
  static absl::StatusOr<std::unique_ptr<Checkpointer>> Start(const std::string& path);
  ~Checkpointer();

  // Asks for a checkpoint soon; cheap.
  void Wake();

 private:
  explicit Checkpointer(sqlite3* db);
  void Loop();

  sqlite3* const db_;
  absl::Mutex mutex_;
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace wherry::store
