#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime/sys/clock.h"

// Looks at the host's files that may take for ever: a mount's source or a device on a file server that is gone holds whoever asks for
// it, and nothing short of the process' end frees a thread from such a system call. So a thread of its own looks, and is left to
// itself when nobody wants to know any more; it ends with the server's return or with wherryd.
namespace wherry::container {

class Looks {
 public:
  static constexpr size_t kMax = 256;
  // Before the two minutes after which a kubelet gives up, so that it learns what hangs.
  static constexpr absl::Duration kPatience = absl::Seconds(100);

  // What a look is about to do, for the error that tells where it hangs.
  using Say = std::function<void(std::string)>;
  using Seen = std::vector<struct statx>;
  using Work = std::function<absl::StatusOr<Seen>(const Say&)>;

  explicit Looks(absl::Duration patience = kPatience) : patience_(patience) {}

  // What `look` says, which must not need anything that may end before it. Two with the same key are one, so that the retries of a
  // kubelet do not add up. DeadlineExceeded after a while, ResourceExhausted when too many hang, and Cancelled once the pod is
  // Abandon()ed; that this has not been before is for `wanted` to say.
  absl::StatusOr<Seen> Take(const std::string& pod, const std::string& key, Work look,
                            absl::FunctionRef<absl::Status()> wanted);
  void Abandon(const std::string& pod);

 private:
  struct Look {
    bool over = false;
    std::string doing;
    absl::StatusOr<Seen> result;
  };
  // Outlives the looks that never end.
  struct Shared {
    absl::Mutex mutex;
    sys::Changes changed;
    std::map<std::string, std::shared_ptr<Look>> running ABSL_GUARDED_BY(mutex);
  };
  struct Waiter {
    std::string pod;
    bool abandoned = false;
  };
  absl::Status Join(const std::string& key, Work look, std::shared_ptr<Look>* joined)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shared_->mutex);

  const absl::Duration patience_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::set<Waiter*> waiters_ ABSL_GUARDED_BY(shared_->mutex);
};

}  // namespace wherry::container
