#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

// A few threads for what no request waits for (ends of containers, lost shims) and for the second half of work that is
// done two ways at once. A task may wait for a lease or a shim, but never for another task.
namespace wherry::container {

class Workers {
 public:
  explicit Workers(int threads);
  // Finishes what is queued.
  ~Workers();

  void Submit(std::function<void()> task);

 private:
  void Work();

  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace wherry::container
