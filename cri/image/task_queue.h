#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace wherry::image {

// One thread that runs tasks in the order of their arrival: mutual exclusion without a lock held across a system call.
class TaskQueue {
 public:
  TaskQueue() : thread_([this] { Loop(); }) {}
  // Runs what is queued, then ends.
  ~TaskQueue();
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  void Post(std::function<void()> task);
  // Runs `task` on the thread and waits for its end. Not from the thread itself.
  void Run(const std::function<void()>& task);

 private:
  void Loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace wherry::image
