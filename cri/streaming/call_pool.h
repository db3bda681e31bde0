#pragma once

#include <deque>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "runtime/sys/clock.h"

namespace wherry::streaming {

// Threads for calls that block: starts of processes, connects, ends. They come as they are needed and go after some idle
// seconds; a call that hangs holds up others only when kMaxThreads do.
class CallPool {
 public:
  static constexpr int kMaxThreads = 64;

  ~CallPool();  // waits for what was given

  // On the caller's own thread once Drain() has begun.
  void Run(absl::AnyInvocable<void()> call);
  // False when calls still run at `deadline`.
  bool Drain(const sys::Deadline& deadline);

 private:
  void Work();

  absl::Mutex mutex_;
  sys::Changes changed_;
  std::deque<absl::AnyInvocable<void()>> calls_ ABSL_GUARDED_BY(mutex_);
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace wherry::streaming
