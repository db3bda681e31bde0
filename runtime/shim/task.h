#pragma once

#include "absl/status/statusor.h"
#include "runtime/process/process.h"
#include "runtime/shim/poller.h"
#include "runtime/shim/reaper.h"

// A child from clone to exit, seen from the event loop: whether its program came to run, and then how it ended.
//
//   launched ── OnStarted(OK) ──▶ running ── OnEnded ──▶ over
//       └────── OnStarted(error), when the child is gone: over
namespace wherry::shim {

class Task final : private Poller::Handler, private Reaper::Owner {
 public:
  class Owner {
   public:
    // The owner may delete the task within a failure, and within OnEnded.
    virtual void OnStarted(absl::StatusOr<process::Outcome> outcome) = 0;
    virtual void OnEnded(const ExitStatus& status) = 0;

   protected:
    ~Owner() = default;
  };

  // Takes over a launch. On failure the child is killed.
  static absl::StatusOr<std::unique_ptr<Task>> Follow(Poller& poller, Reaper& reaper, process::Launch launch,
                                                      Owner* owner);
  // A child that is not over is left to the reaper.
  ~Task();

  pid_t pid() const { return launch_.pid; }
  int pidfd() const { return launch_.pidfd.get(); }
  // pidfd_send_signal(2); OK when it has ended already.
  absl::Status Signal(int signal) const;

 private:
  Task(Poller& poller, Reaper& reaper, process::Launch launch, Owner* owner)
      : poller_(poller), reaper_(reaper), launch_(std::move(launch)), owner_(owner) {}
  void OnReady(uint32_t events) override;
  void OnExit(const ExitStatus& status) override;
  void TakeOutcome();

  Poller& poller_;
  Reaper& reaper_;
  process::Launch launch_;
  Owner* owner_;
  absl::Status failure_;  // of the start, until the child is reaped
  bool reaped_ = false;
};

}  // namespace wherry::shim
