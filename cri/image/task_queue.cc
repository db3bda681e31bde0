#include "cri/image/task_queue.h"

#include <algorithm>
#include <future>
#include <utility>

namespace wherry::image {
namespace {

constexpr std::chrono::milliseconds kFirstPause{10}, kLongestPause{60'000};

}  // namespace

TaskQueue::~TaskQueue() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void TaskQueue::Post(std::function<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void TaskQueue::Run(const std::function<void()>& task) {
  std::promise<void> done;
  Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

void TaskQueue::PostUntilDone(std::function<bool()> task) {
  Post([this, task = std::move(task)] { Try(task, kFirstPause); });
}

void TaskQueue::Try(const std::function<bool()>& task, std::chrono::milliseconds pause) {
  if (task()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  later_.emplace(Clock::now() + pause, [this, task, pause] { Try(task, std::min(2 * pause, kLongestPause)); });
}

// Only the thread itself adds to what is for later, so that it need not be woken for it.
std::function<void()> TaskQueue::Next() {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto ready = [this] { return stop_ || !tasks_.empty(); };
  if (later_.empty()) {
    wake_.wait(lock, ready);
  } else if (!wake_.wait_until(lock, later_.begin()->first, ready)) {
    return std::move(later_.extract(later_.begin()).mapped());
  }
  if (tasks_.empty()) return nullptr;
  std::function<void()> task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

void TaskQueue::Loop() {
  while (const std::function<void()> task = Next()) task();
}

}  // namespace wherry::image
