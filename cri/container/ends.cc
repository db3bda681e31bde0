#include "cri/container/ends.h"

#include <sys/eventfd.h>

#include "runtime/sys/status.h"

namespace wherry::container {

absl::StatusOr<shim::v1::Exit> Ends::Wait::Exit() const {
  absl::MutexLock lock(&mutex_);
  return exit_;
}

void Ends::Wait::End(absl::StatusOr<shim::v1::Exit> exit) {
  absl::MutexLock lock(&mutex_);
  exit_ = std::move(exit);
  ::eventfd_write(ended_.get(), 1);
}

absl::StatusOr<std::shared_ptr<Ends::Wait>> Ends::Add(const std::string& id, const std::string& pod_id) {
  sys::UniqueFd ended(::eventfd(0, EFD_CLOEXEC));
  if (!ended.valid()) return sys::Errno("eventfd");
  auto wait = std::make_shared<Wait>(id, pod_id, std::move(ended));
  absl::MutexLock lock(&mutex_);
  waits_.emplace(id, wait);
  return wait;
}

void Ends::Remove(const std::shared_ptr<Wait>& wait) {
  absl::MutexLock lock(&mutex_);
  auto [it, end] = waits_.equal_range(wait->id_);
  while (it != end && it->second != wait) ++it;
  if (it != end) waits_.erase(it);
}

void Ends::End(const std::string& id, const shim::v1::Exit& exit) {
  absl::MutexLock lock(&mutex_);
  auto [begin, end] = waits_.equal_range(id);
  for (auto it = begin; it != end; ++it) it->second->End(exit);
  waits_.erase(begin, end);
}

void Ends::ShimLost(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  for (auto it = waits_.begin(); it != waits_.end();) {
    if (it->second->pod_id_ != pod_id) {
      ++it;
      continue;
    }
    it->second->End(absl::UnavailableError("the pod's shim was lost"));
    it = waits_.erase(it);
  }
}

}  // namespace wherry::container
