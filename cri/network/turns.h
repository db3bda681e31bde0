#pragma once

#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace wherry::network {

// Who is at work for which pod, or for all of them. Others wait for their turn; the lock itself is held for moments.
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
    bool IsFree() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return turns_.all_ == 0 && turns_.busy_.count(id_) == 0; }
    Turns& turns_;
    const std::string id_;
  };

  // No turn begins while one of these lives.
  class All {
   public:
    explicit All(Turns& turns) : turns_(turns) {
      absl::MutexLock lock(&turns_.mutex_);
      ++turns_.all_;
    }
    ~All() {
      absl::MutexLock lock(&turns_.mutex_);
      --turns_.all_;
    }
    // Until the turns that had begun before are over.
    void WaitForOthers() const {
      absl::MutexLock lock(&turns_.mutex_);
      turns_.mutex_.Await(absl::Condition(
          +[](std::set<std::string>* busy) { return busy->empty(); }, &turns_.busy_));
    }
    All(const All&) = delete;
    All& operator=(const All&) = delete;

   private:
    Turns& turns_;
  };

 private:
  absl::Mutex mutex_;
  std::set<std::string> busy_ ABSL_GUARDED_BY(mutex_);
  int all_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace wherry::network
