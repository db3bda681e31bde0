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
      turns_.mutex_.Await(absl::Condition(this, &Turn::IsFree));
      turns_.busy_.insert(id_);
    }
    ~Turn() {
      absl::MutexLock lock(&turns_.mutex_);
      turns_.busy_.erase(id_);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    // Also asked by whoever releases the lock, so it changes nothing.
    bool IsFree() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return turns_.busy_.count(id_) == 0; }
    Turns& turns_;
    const std::string id_;
  };

 private:
  absl::Mutex mutex_;
  std::set<std::string> busy_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::network
