#include "cri/stats/rate.h"

namespace wherry::stats {
namespace {
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kForget = 600 * kSecond;
}  // namespace

std::optional<uint64_t> Rates::Add(const std::string& id, int64_t now_ns, uint64_t usage_ns) {
  absl::MutexLock lock(&mutex_);
  auto [it, first] = samples_.try_emplace(id, Sample{now_ns, usage_ns, std::nullopt});
  Sample& last = it->second;
  if (first) return std::nullopt;
  if (usage_ns < last.usage_ns) {
    last = Sample{now_ns, usage_ns, std::nullopt};
    return std::nullopt;
  }
  const int64_t elapsed = now_ns - last.at_ns;
  if (elapsed < kSecond) return last.rate;
  const double rate = static_cast<double>(usage_ns - last.usage_ns) * kSecond / static_cast<double>(elapsed);
  last = Sample{now_ns, usage_ns, static_cast<uint64_t>(rate)};
  return last.rate;
}

void Rates::Expire(int64_t now_ns) {
  absl::MutexLock lock(&mutex_);
  for (auto it = samples_.begin(); it != samples_.end();)
    it = now_ns - it->second.at_ns > kForget ? samples_.erase(it) : std::next(it);
}

}  // namespace wherry::stats
