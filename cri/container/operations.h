#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime/sys/clock.h"

// Operations on one pod or container exclude each other without a lock being held while they work: an
// operation owns a key, and the mutex only guards the set of owned keys. Whoever does not change things (lists, status)
// takes no key at all.
namespace wherry::container {

// Keys in use. A thread that owns a pod's key may take those of its containers, never the other way round.
class Leases {
 public:
  class Lease {
   public:
    Lease(Lease&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), key_(std::move(other.key_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (owner_ != nullptr) owner_->Return(key_);
    }

   private:
    friend class Leases;
    Lease(Leases* owner, std::string key) : owner_(owner), key_(std::move(key)) {}
    Leases* owner_;
    std::string key_;
  };

  // Waits until nobody owns `key`, then owns it as long as the result lives.
  [[nodiscard]] Lease Take(const std::string& key);
  // The same, but waits until `deadline` at most; unset when somebody still owns it then.
  [[nodiscard]] std::optional<Lease> TakeBefore(const std::string& key, const sys::Deadline& deadline);

 private:
  void Return(const std::string& key);

  absl::Mutex mutex_;
  std::set<std::string> taken_ ABSL_GUARDED_BY(mutex_);
  sys::Changes returned_;
};

// Running operations by what they are about. A second call with the same key while the first runs does not work again: it
// waits for the first and gets its result. This is what makes a kubelet's retry after a deadline harmless.
template <typename Result>
class Joins {
 public:
  Result Run(const std::string& key, absl::FunctionRef<Result()> work) {
    std::shared_ptr<Operation> operation;
    {
      absl::MutexLock lock(&mutex_);
      auto [it, first] = running_.try_emplace(key, nullptr);
      if (!first) {
        operation = it->second;
        mutex_.Await(absl::Condition(
            +[](Operation* o) { return o->result != nullptr; }, operation.get()));
        return *operation->result;
      }
      operation = it->second = std::make_shared<Operation>();
    }
    std::unique_ptr<Result> result;
    absl::Cleanup publish = [&] {
      // A library's exception, which the edge makes an error of, must not leave the key to hang whoever asks next.
      if (result == nullptr) result = std::make_unique<Result>(absl::InternalError("it ended by an exception"));
      absl::MutexLock lock(&mutex_);
      operation->result = std::move(result);
      running_.erase(key);
    };
    result = std::make_unique<Result>(work());
    std::move(publish).Invoke();
    return *operation->result;
  }

 private:
  struct Operation {
    std::unique_ptr<Result> result;
  };
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Operation>> running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wherry::container
