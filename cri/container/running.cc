#include "cri/container/running.h"

#include <utility>

namespace wherry::container {

std::shared_ptr<Live> Running::Add(const std::string& id, shim::v1::Cgroup cgroup) {
  auto live = std::make_shared<Live>();
  live->cgroup = std::move(cgroup);
  absl::MutexLock lock(&mutex_);
  live_[id] = live;
  return live;
}

std::shared_ptr<Live> Running::Find(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  auto it = live_.find(id);
  return it == live_.end() ? nullptr : it->second;
}

void Running::End(const std::string& id) {
  std::shared_ptr<Live> live;
  {
    absl::MutexLock lock(&mutex_);
    auto it = live_.find(id);
    if (it == live_.end()) return;
    live = std::move(it->second);
    live_.erase(it);
  }
  live->ended.Notify();
}

}  // namespace wherry::container
