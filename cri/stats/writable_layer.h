#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime/sys/clock.h"

namespace wherry::stats {

struct DiskUse {
  uint64_t bytes = 0;  // allocated blocks, as du counts; a hard-linked file once
  uint64_t inodes = 0;
  int64_t at_ns = 0;  // CLOCK_REALTIME of the walk
};

// Walks a directory tree on its own file system without following symlinks. ResourceExhausted when it holds more than `most`
// files and directories.
absl::StatusOr<DiskUse> Walk(const std::string& directory, uint64_t most = std::numeric_limits<uint64_t>::max());

// Keeps the size of each container's writable layer. A walk costs what the container has written, which may be minutes, so
// one thread of lowest priority walks in turn, every ten seconds at most, and calls take the last result. Without a
// project-quota file system there is no cheaper true number.
class WritableLayers {
 public:
  // `list` gives container id → upperdir of those to watch; it is called on the thread.
  using List = std::function<std::map<std::string, std::string>()>;
  explicit WritableLayers(List list);
  ~WritableLayers();

  // The last walk's result; unset before the first.
  std::optional<DiskUse> Get(const std::string& container) const;

 private:
  void Run();

  List list_;
  mutable absl::Mutex mutex_;
  sys::Changes changed_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, DiskUse> known_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace wherry::stats
