#include "cri/container/operations.h"

namespace wherry::container {

Leases::Lease Leases::Take(const std::string& key) { return *TakeBefore(key, absl::InfiniteFuture()); }

std::optional<Leases::Lease> Leases::TakeBefore(const std::string& key, absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  auto free = [this, &key]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return taken_.count(key) == 0; };
  if (!mutex_.AwaitWithDeadline(absl::Condition(&free), deadline)) return std::nullopt;
  taken_.insert(key);
  return Lease(this, key);
}

void Leases::Return(const std::string& key) {
  absl::MutexLock lock(&mutex_);
  taken_.erase(key);
}

}  // namespace wherry::container
