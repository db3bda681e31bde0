#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

// Ends of processes that somebody in this wherryd waits for with poll(2): of execs, and of containers to which clients are
// attached. They come from the shims, after all output, and not before it.
namespace wherry::container {

class Ends {
 public:
  // One waiter. `ended` is an eventfd that becomes and stays readable at the end, so that it can be polled beside the output.
  struct Wait {
    std::string id;
    std::string pod_id;
    sys::UniqueFd ended;
    std::optional<shim::v1::Exit> exit;  // empty at the end: the shim was lost. Read after `ended` is readable.

    bool over() const;
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
