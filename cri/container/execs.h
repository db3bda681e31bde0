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

// Processes that somebody in this wherryd has started in containers and waits for.
namespace wherry::container {

class Execs {
 public:
  // One waiter. `ended` is an eventfd that becomes readable at the end, so that it can be polled beside the output.
  struct Exec {
    std::string pod_id;
    sys::UniqueFd ended;
    std::optional<shim::v1::Exit> exit;  // empty at the end: the shim was lost. Read after `ended` is readable.
  };

  // Before the exec is asked for, because its end may be reported first.
  absl::StatusOr<std::shared_ptr<Exec>> Add(const std::string& exec_id, const std::string& pod_id);
  void Remove(const std::string& exec_id);

  void End(const std::string& exec_id, const shim::v1::Exit& exit);
  void ShimLost(const std::string& pod_id);

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Exec>> execs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::container
