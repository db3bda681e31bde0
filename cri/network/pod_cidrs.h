#pragma once

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace wherry::network {

// The node's pod CIDRs. The kubelet tells them when they change, not when we start, so they are kept in a file. Thread-safe.
class PodCidrs {
 public:
  // Reads `file`; one that is missing or damaged means none. Empty: nothing is kept.
  explicit PodCidrs(std::string file);
  // A list with commas. InvalidArgument for anything else.
  absl::Status Set(const std::string& text);
  std::vector<std::string> Get() const;

 private:
  const std::string file_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> cidrs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::network
