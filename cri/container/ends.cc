#include "cri/container/ends.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "runtime/sys/status.h"

namespace wherry::container {

bool Ends::Wait::over() const {
  pollfd polled{ended.get(), POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

absl::StatusOr<std::shared_ptr<Ends::Wait>> Ends::Add(const std::string& id, const std::string& pod_id) {
  auto wait = std::make_shared<Wait>();
  wait->id = id;
  wait->pod_id = pod_id;
  wait->ended.reset(::eventfd(0, EFD_CLOEXEC));
  if (!wait->ended.valid()) return sys::Errno("eventfd");
  absl::MutexLock lock(&mutex_);
  waits_.emplace(id, wait);
  return wait;
}

void Ends::Remove(const std::shared_ptr<Wait>& wait) {
  absl::MutexLock lock(&mutex_);
  auto [it, end] = waits_.equal_range(wait->id);
  while (it != end && it->second != wait) ++it;
  if (it != end) waits_.erase(it);
}

void Ends::End(const std::string& id, const shim::v1::Exit& exit) {
  absl::MutexLock lock(&mutex_);
  auto [begin, end] = waits_.equal_range(id);
  for (auto it = begin; it != end; ++it) {
    it->second->exit = exit;
    ::eventfd_write(it->second->ended.get(), 1);
  }
  waits_.erase(begin, end);
}

void Ends::ShimLost(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  for (auto it = waits_.begin(); it != waits_.end();) {
    if (it->second->pod_id != pod_id) {
      ++it;
      continue;
    }
    ::eventfd_write(it->second->ended.get(), 1);
    it = waits_.erase(it);
  }
}

}  // namespace wherry::container
