#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "cri/streaming/backend.h"

namespace wherry::streaming {

enum class Kind { kExec, kAttach, kPortForward };

// What a URL stands for.
struct Request {
  Kind kind = Kind::kExec;
  std::string id{};                    // container; pod for a port-forward
  std::vector<std::string> command{};  // exec
  Streams streams{};                   // exec and attach
  std::vector<uint16_t> ports{};       // port-forward over WebSocket channels, which cannot name their own
};

// A URL's last part is the only proof that a client may run something in a container, so it cannot be guessed (128 bits of
// getrandom(2)), is good for one use and for a minute. Thread-safe.
class Tokens {
 public:
  static constexpr size_t kMaxWaiting = 1000;
  static constexpr std::chrono::minutes kLife{1};
  using Clock = std::chrono::steady_clock;

  // ResourceExhausted when kMaxWaiting wait to be used.
  absl::StatusOr<std::string> Issue(Request request, Clock::time_point now = Clock::now());
  // NotFound for one that was never issued, has been used, or is too old.
  absl::StatusOr<Request> Take(const std::string& token, Clock::time_point now = Clock::now());

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::pair<Request, Clock::time_point>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<Clock::time_point, std::string>> by_age_
      ABSL_GUARDED_BY(mutex_);  // used ones too, until they are too old
};

}  // namespace wherry::streaming
