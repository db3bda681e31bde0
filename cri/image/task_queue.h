#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace wherry::image {

// One thread that runs tasks in the order of their arrival: mutual exclusion without a lock held across a system call.
class TaskQueue {
 public:
  TaskQueue() : thread_([this] { Loop(); }) {}
  // Runs what is queued, then ends. What has failed is not tried again.
  ~TaskQueue();
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  void Post(std::function<void()> task);
  // Until it says that it is done, with longer and longer pauses. Meanwhile others run.
  void PostUntilDone(std::function<bool()> task);
  // Runs `task` on the thread and waits for its end. Not from the thread itself.
  void Run(const std::function<void()>& task);

 private:
  using Clock = std::chrono::steady_clock;

  void Loop();
  // None at the end.
  std::function<void()> Next();
  void Try(const std::function<bool()>& task, std::chrono::milliseconds pause);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::multimap<Clock::time_point, std::function<void()>> later_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace wherry::image
