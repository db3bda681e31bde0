#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/shim/poller.h"
#include "runtime/sys/unique_fd.h"

// What attached clients get: for each of them and each stream a pipe, into which a copy of the stream goes. Neither the
// container nor its log ever waits for such a pipe.
namespace wherry::shim {

class LogStream;
class Taps;

class Tap final : private Poller::Handler {
 public:
  Tap(Poller& poller, Taps& taps, LogStream* source) : poller_(poller), taps_(taps), source_(source) {}
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  // Returns the client's end.
  absl::StatusOr<sys::UniqueFd> Open();
  // Never blocks: what does not fit is lost, and the client is told of it in its place once it reads again.
  void Copy(const char* data, size_t size);
  // The stream is over. Deletes the tap, now or when the client has been told what it lost.
  void Finish();
  // The client has closed its end.
  bool IsAbandoned() const;
  // Leaves the stream. Deletes the tap.
  void Leave();

 private:
  void OnReady(uint32_t events) override;  // the client is gone, or the timer
  bool TellLoss();

  Poller& poller_;
  Taps& taps_;
  LogStream* source_;  // null after Finish
  sys::UniqueFd writer_;
  int capacity_ = 0;   // bytes
  uint64_t lost_ = 0;  // bytes since the last that fitted
};

// Owns the taps of a shim. It outlives the streams: a client may be slower than the container's end.
class Taps {
 public:
  explicit Taps(Poller& poller) : poller_(poller) {}

  // A pipe with a copy of what `source` gets from now on; its reading end. ResourceExhausted when the pod has too many.
  absl::StatusOr<sys::UniqueFd> Open(LogStream& source);

 private:
  friend class Tap;
  void Remove(const Tap* tap);  // deletes it
  void RemoveAbandoned();

  Poller& poller_;
  std::vector<std::unique_ptr<Tap>> taps_;
};

}  // namespace wherry::shim
