#pragma once

#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/sys/clock.h"

// A few threads for what no request waits for (ends of containers, lost shims) and for the second half of work that is
// done two ways at once. A task may wait for a lease or a shim, but never for another task.
namespace wherry::container {

class Workers {
 public:
  explicit Workers(int threads);
  // Finishes what is queued; what has failed is not tried again.
  ~Workers();

  void Submit(std::function<void()> task);
  // What nobody would ask for again, such as the record of an end while the disk is full: tried until it says that it is done, with
  // pauses of up to a second. It is told how often it has been tried before.
  void SubmitUntilDone(std::function<bool(int)> task);

 private:
  using Time = sys::Deadline::Clock::time_point;

  void Work();
  void Try(const std::function<bool(int)>& task, int before);
  // None when this ends.
  std::function<void()> Next();

  absl::Mutex mutex_;
  sys::Changes changed_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Time, std::function<void()>> later_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace wherry::container
