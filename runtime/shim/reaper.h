#pragma once

#include <sys/types.h>

#include <map>
#include <memory>

#include "absl/status/statusor.h"
#include "runtime/shim/poller.h"
#include "runtime/sys/unique_fd.h"

// Reaps the shim's children: those it started, each through its own pidfd, and the orphans that it inherits as a child
// subreaper.
namespace wherry::shim {

struct ExitStatus {
  int code = 0;                // WEXITSTATUS, or 128 + signal
  int signal = 0;              // 0: ended by exit(2)
  int64_t finished_at_ns = 0;  // CLOCK_REALTIME
};

class Reaper final : private Poller::Handler {
 public:
  class Owner {
   public:
    // The child has ended and is reaped. Called once; the owner may be deleted within.
    virtual void OnExit(const ExitStatus& status) = 0;

   protected:
    ~Owner() = default;
  };

  // SIGCHLD must be blocked. `poller` must outlive the reaper.
  static absl::StatusOr<std::unique_ptr<Reaper>> Create(Poller& poller);
  ~Reaper();

  // Calls the owner when the child `pid` ends. The pidfd stays the caller's and open until OnExit or Abandon.
  absl::Status Watch(pid_t pid, int pidfd, Owner* owner);
  // Nobody waits for this child any more: it is reaped like an orphan. Unknown pids are ignored.
  void Abandon(pid_t pid);
  // Children that are watched.
  size_t size() const { return children_.size(); }

 private:
  struct Child final : Poller::Handler {
    Child(Reaper& r, pid_t p, int fd, Owner* o) : reaper(r), pid(p), pidfd(fd), owner(o) {}
    void OnReady(uint32_t) override { reaper.Reap(pid); }
    Reaper& reaper;
    pid_t pid;
    int pidfd;
    Owner* owner;
  };

  explicit Reaper(Poller& poller) : poller_(poller) {}
  void OnReady(uint32_t events) override;
  void Reap(pid_t pid);

  Poller& poller_;
  sys::UniqueFd signals_;
  std::map<pid_t, std::unique_ptr<Child>> children_;
};

}  // namespace wherry::shim
