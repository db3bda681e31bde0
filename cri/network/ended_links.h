#pragma once

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/sys/clock.h"

namespace wherry::network {

// Pods' interfaces end with their network namespaces, which costs the pod's stop nothing (WHERRY_NETNS_ENDS in cni/README.md).
// But a namespace lives on while anything refers to it: a connection that still wants to send, or a copy of its pin in some
// container's mount table. So a moment after each DEL a thread deletes the interfaces that are still there. DEL marked them
// in the kernel, so those that an earlier wherryd left are found too. Thread-safe.
class EndedLinks {
 public:
  EndedLinks();
  ~EndedLinks();

  // A DEL has marked interfaces.
  void Expect() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  sys::Changes changed_;
  bool due_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace wherry::network
