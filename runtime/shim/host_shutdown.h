#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "runtime/shim/poller.h"
#include "runtime/sys/unique_fd.h"

// Notices that the host goes down. systemd stops containers' scopes first and sends SIGTERM to all processes that are left at
// the end (systemd-shutdown(8)); one that ignores it holds the shutdown up for DefaultTimeoutStopSec=, 90 s.
namespace wherry::shim {

class HostShutdown final : private Poller::Handler {
 public:
  class Observer {
   public:
    virtual void OnHostShutdown() = 0;

   protected:
    ~Observer() = default;
  };

  // SIGTERM must be blocked. `poller` and `observer` must outlive this.
  static absl::StatusOr<std::unique_ptr<HostShutdown>> Watch(Poller& poller, Observer& observer);
  ~HostShutdown();

 private:
  HostShutdown(Poller& poller, Observer& observer) : poller_(poller), observer_(observer) {}
  void OnReady(uint32_t events) override;

  Poller& poller_;
  Observer& observer_;
  sys::UniqueFd signals_;
};

}  // namespace wherry::shim
