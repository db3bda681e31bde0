#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

// Ends of processes that somebody in this wherryd waits for with poll(2): of execs, and of containers to which clients are
// attached. They come from the shims, after all output, and not before it.
namespace wherry::container {

class Ends {
 public:
  class Wait {
   public:
    Wait(std::string id, std::string pod_id, sys::UniqueFd ended)
        : id_(std::move(id)), pod_id_(std::move(pod_id)), ended_(std::move(ended)) {}

    // An eventfd that becomes and stays readable at the end, so that it can be polled beside the output.
    int ended() const { return ended_.get(); }
    bool over() const { return !absl::IsFailedPrecondition(Exit().status()); }
    // FailedPrecondition before the end, Unavailable when the shim was lost.
    absl::StatusOr<shim::v1::Exit> Exit() const;

   private:
    friend class Ends;
    void End(absl::StatusOr<shim::v1::Exit> exit);

    const std::string id_, pod_id_;
    const sys::UniqueFd ended_;
    mutable absl::Mutex mutex_;  // of the reader's too: that a descriptor is readable orders no memory
    absl::StatusOr<shim::v1::Exit> exit_ ABSL_GUARDED_BY(mutex_) = absl::FailedPreconditionError("it still runs");
  };

  // `id` is an exec's or a container's; a container may have many waiters. To be called before the shim is asked, because
  // the end may be reported first.
  absl::StatusOr<std::shared_ptr<Wait>> Add(const std::string& id, const std::string& pod_id);
  void Remove(const std::shared_ptr<Wait>& wait);

  void End(const std::string& id, const shim::v1::Exit& exit);
  void ShimLost(const std::string& pod_id);

 private:
  absl::Mutex mutex_;
  std::multimap<std::string, std::shared_ptr<Wait>> waits_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::container
