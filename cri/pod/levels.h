#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

// SELinux levels that keep pods apart: "s0:cA,cB", a pair of categories that no other pod on the node has.
namespace wherry::pod {

class Levels {
 public:
  // Nobody else is given the level while this is kept: until the record that has it is written.
  using Reserved = std::shared_ptr<const std::string>;

  // A pair among `categories` (c0 to one less), chosen at random. `in_use` says which levels the records have. ResourceExhausted when no
  // pair is left. Not to be destroyed before what it has given.
  absl::StatusOr<Reserved> Take(int categories, absl::FunctionRef<std::set<std::string>()> in_use);

 private:
  class Hold;
  absl::Mutex mutex_;
  std::set<std::string> reserved_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::pod
