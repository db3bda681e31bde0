#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

// Deadlines and waits by CLOCK_MONOTONIC. Abseil's own (of 2022) are points of the wall clock, down to the futex: when the clock is
// set back by an hour, a wait of ten seconds takes an hour longer; set forward, it is over at once, and a container's grace period
// with it. Clocks jump on real nodes, mostly at the first synchronisation after the boot, which is when everything starts.
namespace wherry::sys {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  // Now when negative, never when infinite.
  explicit Deadline(absl::Duration from_now) {
    constexpr absl::Duration kEver = absl::Hours(24 * 365 * 100);
    if (from_now < kEver) at_ = Clock::now() + absl::ToChronoNanoseconds(std::max(from_now, absl::ZeroDuration()));
  }

  Clock::time_point at() const { return at_; }
  bool never() const { return at_ == Clock::time_point::max(); }
  bool passed() const { return !never() && Clock::now() >= at_; }
  // Not negative.
  absl::Duration left() const {
    if (never()) return absl::InfiniteDuration();
    return std::max(absl::FromChrono(at_ - Clock::now()), absl::ZeroDuration());
  }
  // For poll(2), which may wake up late but not early; at most `most`, which is less than a month.
  int poll_ms(absl::Duration most = absl::Hours(24)) const {
    const absl::Duration time = std::min(left(), most);
    return static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(time, absl::Milliseconds(1))));
  }

 private:
  Clock::time_point at_ = Clock::time_point::max();
};

// What absl::Notification is, with the other clock.
class Event {
 public:
  void Notify() {
    std::lock_guard lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }
  void Wait() { (void)WaitUntil(Deadline(absl::InfiniteDuration())); }
  // False when it has not happened by then.
  bool WaitUntil(const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    const auto happened = [this] { return happened_; };
    if (!deadline.never()) return changed_.wait_until(lock, deadline.at(), happened);
    changed_.wait(lock, happened);
    return true;
  }
  bool WaitFor(absl::Duration time) { return WaitUntil(Deadline(time)); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool happened_ = false;
};

// For waits with a deadline where an absl::Mutex guards what is waited for. Whoever changes that says so.
class Changes {
 public:
  void NotifyAll() { changed_.notify_all(); }
  // The caller holds the mutex. Whether `condition` holds at the end.
  template <typename Condition>
  bool WaitUntil(absl::Mutex& mutex, const Deadline& deadline, const Condition& condition)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Lockable lockable{mutex};
    while (!condition()) {
      if (deadline.never()) {
        changed_.wait(lockable);
      } else if (changed_.wait_until(lockable, deadline.at()) == std::cv_status::timeout) {
        return condition();
      }
    }
    return true;
  }

 private:
  struct Lockable {
    absl::Mutex& mutex;
    void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.Lock(); }  // NOLINT: the name that the standard library wants
    void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.Unlock(); }  // NOLINT
  };
  std::condition_variable_any changed_;
};

}  // namespace wherry::sys
