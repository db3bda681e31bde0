#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "cri/network/config_dir.h"

namespace wherry::network {

// What the plugins said when last asked for their STATUS. They may take long to say it, and the kubelet asks for the node's
// status to hear whether anybody is alive: so nobody waits for them. When an answer is due, a thread asks; until it has
// come, the last one counts. Thread-safe.
class StatusProbe {
 public:
  // `ask` runs the plugins and ends at a deadline of its own. An answer counts for `period` and longer if nobody looks.
  StatusProbe(std::function<absl::Status(const ConfigDir::Networks&)> ask, std::chrono::seconds period)
      : ask_(std::move(ask)), period_(period) {}
  ~StatusProbe();

  // Unavailable while the first answer for these networks is awaited.
  absl::Status Last(const ConfigDir::Networks& networks) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  void Run(ConfigDir::Networks networks) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::function<absl::Status(const ConfigDir::Networks&)> ask_;
  const std::chrono::seconds period_;
  absl::Mutex mutex_;
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  ConfigDir::Networks of_ ABSL_GUARDED_BY(mutex_);
  absl::Status answer_ ABSL_GUARDED_BY(mutex_);
  Clock::time_point at_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::network
