#include "cri/streaming/tokens.h"

#include <sys/random.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::streaming {

absl::StatusOr<std::string> Tokens::Issue(Request request, Clock::time_point now) {
  char random[16];
  if (::getrandom(random, sizeof(random), 0) != static_cast<ssize_t>(sizeof(random))) return sys::Errno("getrandom");
  std::string token = absl::BytesToHexString({random, sizeof(random)});
  absl::MutexLock lock(&mutex_);
  while (!by_age_.empty() && by_age_.front().first < now) {
    waiting_.erase(by_age_.front().second);
    by_age_.pop_front();
  }
  if (waiting_.size() >= kMaxWaiting)
    return absl::ResourceExhaustedError(absl::StrCat(kMaxWaiting, " streaming URLs wait to be used; try again"));
  waiting_.emplace(token, std::make_pair(std::move(request), now + kLife));
  by_age_.emplace_back(now + kLife, token);
  return token;
}

absl::StatusOr<Request> Tokens::Take(const std::string& token, Clock::time_point now) {
  absl::MutexLock lock(&mutex_);
  auto found = waiting_.find(token);
  if (found == waiting_.end()) return absl::NotFoundError("NotFound: this URL is unknown or has been used");
  auto [request, until] = std::move(found->second);
  waiting_.erase(found);
  if (until < now) return absl::NotFoundError("NotFound: this URL was good for a minute");
  return std::move(request);
}

}  // namespace wherry::streaming
