#pragma once

#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace wherry::network {

// Who is at work for which pod. Others wait for their turn, for that pod only; the lock itself is held for moments.
class Turns {
 public:
  class Turn {
   public:
    Turn(Turns& turns, std::string id) : turns_(turns), id_(std::move(id)) {
      absl::MutexLock lock(&turns_.mutex_);
      turns_.mutex_.Await(absl::Condition(this, &Turn::Insert));
    }
    ~Turn() {
      absl::MutexLock lock(&turns_.mutex_);
      turns_.busy_.erase(id_);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    bool Insert() ABSL_NO_THREAD_SAFETY_ANALYSIS { return turns_.busy_.insert(id_).second; }
    Turns& turns_;
    const std::string id_;
  };

 private:
  absl::Mutex mutex_;
  std::set<std::string> busy_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::network
