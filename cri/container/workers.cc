#include "cri/container/workers.h"

#include <algorithm>
#include <utility>

namespace wherry::container {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(10), kLongestPause = absl::Seconds(1);
constexpr int kDoublings = 10;

}  // namespace

Workers::Workers(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Workers::~Workers() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    changed_.NotifyAll();
  }
  for (auto& thread : threads_) thread.join();
}

void Workers::Submit(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  queue_.push_back(std::move(task));
  changed_.NotifyAll();
}

void Workers::SubmitUntilDone(std::function<bool(int)> task) {
  Submit([this, task = std::move(task)] { Try(task, 0); });
}

void Workers::Try(const std::function<bool(int)>& task, int before) {
  if (task(before)) return;
  const absl::Duration pause = std::min(kLongestPause, kFirstPause * (1 << std::min(before, kDoublings)));
  absl::MutexLock lock(&mutex_);
  later_.emplace(sys::Deadline(pause).at(), [this, task, before] { Try(task, before + 1); });
  changed_.NotifyAll();
}

std::function<void()> Workers::Next() {
  absl::MutexLock lock(&mutex_);
  while (queue_.empty()) {
    if (ending_) return nullptr;
    const Time due = later_.empty() ? Time::max() : later_.begin()->first;
    const Time now = sys::Deadline::Clock::now();
    if (due <= now) {
      queue_.push_back(std::move(later_.begin()->second));
      later_.erase(later_.begin());
      break;
    }
    const sys::Deadline wake(later_.empty() ? absl::InfiniteDuration() : absl::FromChrono(due - now));
    (void)changed_.WaitUntil(mutex_, wake, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return ending_ || !queue_.empty() || (later_.empty() ? Time::max() : later_.begin()->first) != due;
    });
  }
  std::function<void()> task = std::move(queue_.front());
  queue_.pop_front();
  return task;
}

void Workers::Work() {
  while (const std::function<void()> task = Next()) task();
}

}  // namespace wherry::container
