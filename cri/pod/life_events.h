#pragma once

#include <deque>
#include <memory>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cri/container/core.h"
#include "cri/pod/service.h"
#include "cri/store/store.h"
#include "runtime/sys/clock.h"

// What GetContainerEvents streams. Events are derived from committed changes of records, so whoever hears of one finds it in
// the lists, they come in the order in which things happened, and none can be forgotten in some branch of a verb.
namespace wherry::pod {

class LifeEvents {
 public:
  explicit LifeEvents(container::Core& core) : core_(core) {}

  // For Store::Observe.
  void Heard(const store::Changed& change) ABSL_LOCKS_EXCLUDED(mutex_);
  // From the next event on. ResourceExhausted when there are too many subscribers.
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe() ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends all subscriptions, and later ones at once.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Queue;

  Subscription::Event Build(const store::Changed& change, ::runtime::v1::ContainerEventType type);
  void Announce(const store::Changed& change, ::runtime::v1::ContainerEventType type) ABSL_LOCKS_EXCLUDED(mutex_);

  container::Core& core_;
  absl::Mutex mutex_;
  sys::Changes changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<Queue*> queues_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::pod
