#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
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
  static constexpr absl::Duration kLife = absl::Minutes(1);

  // ResourceExhausted when kMaxWaiting wait to be used.
  absl::StatusOr<std::string> Issue(Request request, absl::Time now = absl::Now());
  // NotFound for one that was never issued, has been used, or is too old.
  absl::StatusOr<Request> Take(const std::string& token, absl::Time now = absl::Now());

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::pair<Request, absl::Time>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<absl::Time, std::string>> by_age_
      ABSL_GUARDED_BY(mutex_);  // used ones too, until they are too old
};

}  // namespace wherry::streaming
