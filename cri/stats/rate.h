#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace wherry::stats {

// Turns cumulative CPU time into a rate (usageNanoCores). A rate is the difference of exactly two samples at least one
// second apart, the older of which was taken by an earlier call; it is unknown, not zero, before there are two
// (peers' zeros and spikes there have misled autoscalers). Thread-safe.
class Rates {
 public:
  // Adds a sample: `usage_ns` of CPU time at `now_ns` of a clock that nobody sets. The rate in nanoseconds of CPU per second, when known. A counter that
  // went backwards (a new cgroup under the old name) starts anew.
  std::optional<uint64_t> Add(const std::string& id, int64_t now_ns, uint64_t usage_ns);
  // Drops what has not been asked for in the last ten minutes.
  void Expire(int64_t now_ns);

 private:
  struct Sample {
    int64_t at_ns = 0;
    uint64_t usage_ns = 0;
    std::optional<uint64_t> rate;
  };
  absl::Mutex mutex_;
  std::map<std::string, Sample> samples_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::stats
