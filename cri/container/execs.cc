#include "cri/container/execs.h"

#include <sys/eventfd.h>

#include "runtime/sys/status.h"

namespace wherry::container {

absl::StatusOr<std::shared_ptr<Execs::Exec>> Execs::Add(const std::string& exec_id, const std::string& pod_id) {
  auto exec = std::make_shared<Exec>();
  exec->pod_id = pod_id;
  exec->ended.reset(::eventfd(0, EFD_CLOEXEC));
  if (!exec->ended.valid()) return sys::Errno("eventfd");
  absl::MutexLock lock(&mutex_);
  execs_[exec_id] = exec;
  return exec;
}

void Execs::Remove(const std::string& exec_id) {
  absl::MutexLock lock(&mutex_);
  execs_.erase(exec_id);
}

void Execs::End(const std::string& exec_id, const shim::v1::Exit& exit) {
  absl::MutexLock lock(&mutex_);
  auto it = execs_.find(exec_id);
  if (it == execs_.end()) return;
  it->second->exit = exit;
  ::eventfd_write(it->second->ended.get(), 1);
  execs_.erase(it);
}

void Execs::ShimLost(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  for (auto it = execs_.begin(); it != execs_.end();) {
    if (it->second->pod_id != pod_id) {
      ++it;
      continue;
    }
    ::eventfd_write(it->second->ended.get(), 1);
    it = execs_.erase(it);
  }
}

}  // namespace wherry::container
