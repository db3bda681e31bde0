#include "cri/network/status_probe.h"

#include <algorithm>

namespace wherry::network {

StatusProbe::~StatusProbe() {
  std::thread last;
  {
    absl::MutexLock lock(&mutex_);
    last = std::move(thread_);
  }
  if (last.joinable()) last.join();
}

absl::Status StatusProbe::Last(const ConfigDir::Networks& networks) {
  absl::MutexLock lock(&mutex_);
  // By text: a directory that was changed just now is read again each time.
  const bool known = std::equal(of_.begin(), of_.end(), networks.begin(), networks.end(),
                                [](const auto& a, const auto& b) { return a->text == b->text; });
  if (!asking_ && (!known || Clock::now() - at_ >= period_)) {
    if (thread_.joinable()) thread_.join();  // it gave up the lock as its last act
    asking_ = true;
    thread_ = std::thread([this, networks] { Run(networks); });
  }
  return known ? answer_ : absl::UnavailableError("its plugins are being asked for their STATUS");
}

void StatusProbe::Run(ConfigDir::Networks networks) {
  absl::Status answer = ask_(networks);
  absl::MutexLock lock(&mutex_);
  asking_ = false;
  of_ = std::move(networks);
  answer_ = std::move(answer);
  at_ = Clock::now();
}

}  // namespace wherry::network
