#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/clock.h"

// What is known of a container only as long as it runs (or is being started).
namespace wherry::container {

struct Live {
  shim::v1::Cgroup cgroup;  // where execs go too
  sys::Event ended;         // the record says EXITED (or the container is gone)
  // Has got its stop signal: to many programs a second one means "at once", and a caller that was cut off by its own
  // deadline asks again.
  std::atomic<bool> asked_to_stop{false};
};

class Running {
 public:
  std::shared_ptr<Live> Add(const std::string& id, shim::v1::Cgroup cgroup);
  // nullptr when it does not run.
  std::shared_ptr<Live> Find(const std::string& id) const;
  // Forgets it and wakes everybody who waits for its end.
  void End(const std::string& id);

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Live>> live_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::container
