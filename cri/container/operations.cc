#include "cri/container/operations.h"

namespace wherry::container {

Leases::Lease Leases::Take(const std::string& key) { return *TakeBefore(key, sys::Deadline(absl::InfiniteDuration())); }

std::optional<Leases::Lease> Leases::TakeBefore(const std::string& key, const sys::Deadline& deadline) {
  absl::MutexLock lock(&mutex_);
  auto free = [this, &key]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return taken_.count(key) == 0; };
  if (!returned_.WaitUntil(mutex_, deadline, free)) return std::nullopt;
  taken_.insert(key);
  return Lease(this, key);
}

void Leases::Return(const std::string& key) {
  absl::MutexLock lock(&mutex_);
  taken_.erase(key);
  returned_.NotifyAll();
}

}  // namespace wherry::container
