#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace wherry::seccomp {

// Compiled filters by profile and capabilities. Compiling costs about 5 ms, which is half of what a whole pod may cost, so
// each pair is compiled once. Bounded: the oldest pair goes when 64 are held. Thread-safe; compiles without the lock.
class Cache {
 public:
  // The default profile (RuntimeDefault) as BPF.
  absl::StatusOr<std::string> Default(uint64_t capabilities);
  // A JSON profile (Localhost) as BPF. `json` itself is the key: a changed file is compiled anew.
  absl::StatusOr<std::string> Json(absl::string_view json, uint64_t capabilities);

 private:
  struct Entry {
    std::string bpf;
    uint64_t age = 0;
  };
  using Key = std::pair<std::string, uint64_t>;

  bool Find(const Key& key, std::string& bpf);
  void Keep(const Key& key, const std::string& bpf);

  absl::Mutex mutex_;
  uint64_t next_age_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::seccomp
