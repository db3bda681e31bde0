#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cri/container/core.h"

// A process that is started in a running container, as ExecSync and the streaming sessions both need it.
namespace wherry::container {

// FailedPrecondition unless it runs.
absl::StatusOr<store::Container> FindRunning(Core& core, const std::string& id);

class ExecProcess {
 public:
  ExecProcess(Core& core, store::Container container);
  // Nobody waits for its end any more. It is not killed.
  ~ExecProcess();
  ExecProcess(const ExecProcess&) = delete;
  ExecProcess& operator=(const ExecProcess&) = delete;

  // Runs `command` as the container's own process is run: user, capabilities, seccomp, environment and cgroup are the same.
  // `stdio` are its three descriptors, or none for a terminal. Returns when the program runs. InvalidArgument for a
  // command that cannot be executed; DeadlineExceeded, with what was begun killed, after `timeout`.
  absl::Status Start(const std::vector<std::string>& command, std::vector<sys::UniqueFd> stdio, absl::Duration timeout);
  // The terminal's master, once; invalid without a terminal.
  sys::UniqueFd TakeTerminal() { return std::move(terminal_); }

  // Readable at the end, when all that it wrote is in its streams.
  int ended() const { return wait_->ended(); }
  bool over() const { return wait_->over(); }
  // FailedPrecondition before the end, Unavailable when the shim was lost.
  absl::StatusOr<shim::v1::Exit> Exit() const { return wait_->Exit(); }
  // SIGKILLs it with its descendants; returns when the shim has done so. Does nothing after the end.
  void Kill();

 private:
  absl::StatusOr<shim::v1::Process> Describe(const std::vector<std::string>& command, bool tty) const;
  absl::Status Launch(const std::vector<std::string>& command, std::vector<sys::UniqueFd> stdio,
                      absl::Duration timeout);

  Core& core_;
  const store::Container container_;
  const std::string id_;
  std::shared_ptr<Ends::Wait> wait_;
  sys::UniqueFd terminal_;
};

}  // namespace wherry::container
