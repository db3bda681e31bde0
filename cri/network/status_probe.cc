#include "cri/network/status_probe.h"

namespace wherry::network {

StatusProbe::~StatusProbe() {
  std::thread last;
  {
    absl::MutexLock lock(&mutex_);
    last = std::move(thread_);
  }
  if (last.joinable()) last.join();
}

absl::Status StatusProbe::Last(const std::shared_ptr<const Loaded>& loaded) {
  absl::MutexLock lock(&mutex_);
  // By text: a directory that was changed just now is read again each time.
  const bool known = of_ != nullptr && of_->text == loaded->text;
  if (!asking_ && (!known || Clock::now() - at_ >= period_)) {
    if (thread_.joinable()) thread_.join();  // it gave up the lock as its last act
    asking_ = true;
    thread_ = std::thread([this, loaded] { Run(loaded); });
  }
  return known ? answer_ : absl::UnavailableError("its plugins are being asked for their STATUS");
}

void StatusProbe::Run(std::shared_ptr<const Loaded> loaded) {
  absl::Status answer = ask_(*loaded);
  absl::MutexLock lock(&mutex_);
  asking_ = false;
  of_ = std::move(loaded);
  answer_ = std::move(answer);
  at_ = Clock::now();
}

}  // namespace wherry::network
