#include "cri/container/inbox.h"

#include <utility>

namespace wherry::container {

shim::Events Inbox::events() {
  return {
      .container_exited =
          [this](const std::string& pod_id, const shim::v1::ContainerExited& event) {
            Deliver([pod_id, event](Receiver& r) { r.ContainerExited(pod_id, event); });
          },
      .exec_exited =
          [this](const std::string& pod_id, const shim::v1::ExecExited& event) {
            Deliver([pod_id, event](Receiver& r) { r.ExecExited(pod_id, event); });
          },
      .lost = [this](const std::string& pod_id) { Deliver([pod_id](Receiver& r) { r.ShimLost(pod_id); }); },
  };
}

// Receivers only queue, so it is right to call them under the lock: it keeps the order, and after Close() returns none is
// under way.
void Inbox::Open(Receiver* receiver) {
  absl::MutexLock lock(&mutex_);
  receiver_ = receiver;
  for (auto& event : waiting_) event(*receiver_);
  waiting_.clear();
}

void Inbox::Close() {
  absl::MutexLock lock(&mutex_);
  receiver_ = nullptr;
}

void Inbox::Deliver(std::function<void(Receiver&)> event) {
  absl::MutexLock lock(&mutex_);
  if (receiver_ != nullptr) {
    event(*receiver_);
  } else {
    waiting_.push_back(std::move(event));
  }
}

}  // namespace wherry::container
