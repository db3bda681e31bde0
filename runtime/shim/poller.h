#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// The shim's event loop: epoll, and one-shot timers. One event is taken from the kernel at a time, so a handler may
// remove and delete any handler, itself included, and no stale event can follow. (epoll rotates its ready list, so a
// busy descriptor does not starve the others.)
namespace wherry::shim {

class Poller {
 public:
  class Handler {
   public:
    // `events` are EPOLL* bits; 0 when the handler's timer fired.
    virtual void OnReady(uint32_t events) = 0;

   protected:
    ~Handler() = default;
  };

  static absl::StatusOr<Poller> Create();

  absl::Status Add(int fd, uint32_t events, Handler* handler);
  void Modify(int fd, uint32_t events, Handler* handler);
  void Remove(int fd);

  // Calls handler->OnReady(0) once, `milliseconds` from now. Setting it again moves it; negative clears it.
  void SetTimer(Handler* handler, int64_t milliseconds);

  // Waits for one event or timer and runs its handler.
  void RunOnce();

 private:
  struct Timer {
    int64_t at = 0;  // CLOCK_MONOTONIC, ms
    Handler* handler = nullptr;
  };
  int TimeoutMs() const;
  bool RunDueTimer();

  sys::UniqueFd epoll_;
  std::vector<Timer> timers_;
};

}  // namespace wherry::shim
