#include "cri/container/looks.h"

#include <system_error>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::container {

absl::Status Looks::Join(const std::string& key, Work look, std::shared_ptr<Look>* joined) {
  auto& running = shared_->running;
  if (auto it = running.find(key); it != running.end()) {
    *joined = it->second;
    return absl::OkStatus();
  }
  if (running.size() >= kMax)
    return absl::ResourceExhaustedError(absl::StrCat(kMax, " looks at files of the host have not come back"));
  auto made = std::make_shared<Look>();
  try {
    std::thread([shared = shared_, key, made, look = std::move(look)] {
      absl::StatusOr<Seen> result = look([&](std::string doing) {
        absl::MutexLock lock(&shared->mutex);
        made->doing = std::move(doing);
      });
      absl::MutexLock lock(&shared->mutex);
      made->result = std::move(result);
      made->over = true;
      shared->running.erase(key);
      shared->changed.NotifyAll();
    }).detach();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("thread for a look at files: ", error.what()));
  }
  running[key] = *joined = std::move(made);
  return absl::OkStatus();
}

absl::StatusOr<Looks::Seen> Looks::Take(const std::string& pod, const std::string& key, Work look,
                                        absl::FunctionRef<absl::Status()> wanted) {
  Waiter waiter{pod};
  std::shared_ptr<Look> joined;
  {
    absl::MutexLock lock(&shared_->mutex);
    RETURN_IF_ERROR(Join(key, std::move(look), &joined));
    waiters_.insert(&waiter);
  }
  const absl::Cleanup leave = [&] {
    absl::MutexLock lock(&shared_->mutex);
    waiters_.erase(&waiter);
  };
  // Whoever abandons says first that nothing is wanted: one of us two sees the other.
  RETURN_IF_ERROR(wanted());
  absl::MutexLock lock(&shared_->mutex);
  const auto done = [&] { return joined->over || waiter.abandoned; };
  const bool in_time = shared_->changed.WaitUntil(shared_->mutex, sys::Deadline(patience_), done);
  if (joined->over) return joined->result;
  if (!in_time)
    return absl::DeadlineExceededError(absl::StrCat(joined->doing, ": no answer in ", absl::FormatDuration(patience_)));
  return absl::CancelledError("its sandbox is being stopped");
}

void Looks::Abandon(const std::string& pod) {
  absl::MutexLock lock(&shared_->mutex);
  for (Waiter* waiter : waiters_)
    if (waiter->pod == pod) waiter->abandoned = true;
  shared_->changed.NotifyAll();
}

}  // namespace wherry::container
