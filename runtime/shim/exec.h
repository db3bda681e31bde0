#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/shim/container.h"

// A process that was started in a running container. Its streams are the asker's: the shim has no part in them.
namespace wherry::shim {

class Exec final : private Task::Owner {
 public:
  class Observer {
   public:
    // The start's end; `tty_master` is valid with a tty. After an error the observer deletes the exec.
    virtual void OnExecStarted(Exec& exec, absl::StatusOr<sys::UniqueFd> tty_master) = 0;
    // The observer deletes the exec.
    virtual void OnExecEnded(Exec& exec, const v1::Exit& exit) = 0;

   protected:
    ~Observer() = default;
  };

  // `container` is running.
  static absl::StatusOr<std::unique_ptr<Exec>> Start(const Workbench& bench, const v1::ExecRequest& request,
                                                     const Container& container, process::Stdio stdio,
                                                     Observer* observer);

  const std::string& id() const { return id_; }
  const std::string& container_id() const { return container_id_; }
  pid_t pid() const { return task_->pid(); }
  absl::Status Signal(int signal) { return task_->Signal(signal); }
  // SIGKILLs it with its descendants, and all of its cgroup where that is not the container's.
  absl::Status KillAll();

  Asker asker;

 private:
  Exec(const v1::ExecRequest& request, const Container& container, Observer* observer);
  void OnStarted(absl::StatusOr<process::Outcome> outcome) override;
  void OnEnded(const ExitStatus& status) override;

  std::string id_;
  std::string container_id_;
  v1::Cgroup cgroup_;      // where it is
  v1::Cgroup own_cgroup_;  // those directories that the container does not share
  Observer* observer_;
  std::unique_ptr<Task> task_;
};

}  // namespace wherry::shim
