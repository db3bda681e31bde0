#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/shim/log_stream.h"
#include "runtime/shim/tap.h"
#include "runtime/shim/task.h"

// A container as the shim keeps it: its init, its log, and in the end its exit record.
//
//   starting ──▶ running ──▶ (leftovers die) ──▶ ended ── Forget
//       └─ failed: removed
namespace wherry::shim {

// What every container and exec works with.
struct Workbench {
  Poller& poller;
  Reaper& reaper;
  LogArena& arena;
  Taps& taps;
  process::PodContext& pod;
};

// Who asked, and is to be answered: a request on a connection.
struct Asker {
  uint64_t connection = 0;
  uint64_t request = 0;
};

class Container final : private Task::Owner, private Poller::Handler {
 public:
  enum class State { kStarting, kRunning, kEnded };
  class Observer {
   public:
    // The start's end. After an error the observer deletes the container.
    virtual void OnContainerStarted(Container& container, const absl::Status& status) = 0;
    virtual void OnContainerEnded(Container& container) = 0;

   protected:
    ~Observer() = default;
  };

  // Opens the log and clones the init; the rest is told to the observer. `target` is the container for pid namespace
  // TARGET, or null.
  static absl::StatusOr<std::unique_ptr<Container>> Start(const Workbench& bench,
                                                          const v1::StartContainerRequest& request,
                                                          const Container* target, Observer* observer);

  ~Container();

  const std::string& id() const { return state_.container_id(); }
  State state() const { return phase_; }
  pid_t pid() const { return state_.pid(); }
  int pidfd() const { return task_->pidfd(); }
  const v1::Cgroup& cgroup() const { return cgroup_; }
  // What StateReply says of it.
  v1::ContainerState Describe() const;

  // FailedPrecondition when it has ended.
  absl::Status Signal(int signal);
  // SIGKILLs every process, also those that outlived the init.
  absl::Status KillAll();
  absl::Status ReopenLog() { return log_.Reopen(); }
  // The descriptors that `reply` names. FailedPrecondition unless it runs.
  absl::StatusOr<std::vector<sys::UniqueFd>> Attach(const v1::AttachRequest& request, v1::AttachReply* reply);

  Asker asker;  // of the start

 private:
  Container(const Workbench& bench, const v1::StartContainerRequest& request, Observer* observer);
  absl::Status Launch(const v1::StartContainerRequest& request, const Container* target);
  absl::StatusOr<process::Stdio> MakeStdio(const v1::StartContainerRequest& request);
  absl::StatusOr<sys::UniqueFd> MakeLogPipe(StreamName name);
  absl::Status LogFrom(sys::UniqueFd source, StreamName name);
  absl::StatusOr<sys::UniqueFd> LendInput(const v1::AttachRequest& request, v1::AttachReply* reply);
  void OnStarted(absl::StatusOr<process::Outcome> outcome) override;
  void OnEnded(const ExitStatus& status) override;
  void OnReady(uint32_t events) override;  // the timer of the wait for what the init left behind
  void Finish();
  bool WasOomKilled() const;

  Workbench bench_;
  Observer* observer_;
  State phase_ = State::kStarting;
  v1::ContainerState state_;
  v1::Cgroup cgroup_;
  std::optional<uint64_t> slice_oom_kills_;  // when it began
  bool own_pid_namespace_;
  size_t max_line_;
  LogFile log_;
  std::unique_ptr<LogStream> streams_[2];  // a tty has the first only
  const bool tty_;
  const bool takes_input_;
  const bool stdin_once_;
  sys::UniqueFd stdin_;  // write end of the pipe, without a tty; with stdin_once until somebody has it
  std::unique_ptr<Task> task_;
  ExitStatus ended_;  // of the init
  int waits_ = 0;     // for what it left behind
};

}  // namespace wherry::shim
