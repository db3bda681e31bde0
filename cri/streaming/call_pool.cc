#include "cri/streaming/call_pool.h"

#include <thread>

#include "absl/time/time.h"

namespace wherry::streaming {
namespace {
constexpr absl::Duration kIdle = absl::Seconds(10);
}

CallPool::~CallPool() { Drain(sys::Deadline(absl::InfiniteDuration())); }

bool CallPool::Drain(const sys::Deadline& deadline) {
  absl::MutexLock lock(&mutex_);
  ending_ = true;
  changed_.NotifyAll();
  auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return threads_ == 0 && calls_.empty(); };
  return changed_.WaitUntil(mutex_, deadline, over);
}

void CallPool::Run(absl::AnyInvocable<void()> call) {
  absl::ReleasableMutexLock lock(&mutex_);
  if (ending_) {
    lock.Release();
    return call();
  }
  calls_.push_back(std::move(call));
  changed_.NotifyAll();
  if (idle_ >= static_cast<int>(calls_.size()) || threads_ >= kMaxThreads) return;
  ++threads_;
  // Not joined: the destructor waits until none is left.
  std::thread([this] { Work(); }).detach();
}

void CallPool::Work() {
  absl::MutexLock lock(&mutex_);
  auto due = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return ending_ || !calls_.empty(); };
  while (true) {
    ++idle_;
    (void)changed_.WaitUntil(mutex_, sys::Deadline(kIdle), due);
    --idle_;
    if (calls_.empty()) break;
    absl::AnyInvocable<void()> call = std::move(calls_.front());
    calls_.pop_front();
    mutex_.Unlock();
    call();
    call = nullptr;
    mutex_.Lock();
  }
  --threads_;
  changed_.NotifyAll();
}

}  // namespace wherry::streaming
