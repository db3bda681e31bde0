#include "runtime/shim/exec.h"

#include <signal.h>

#include <algorithm>

#include "runtime/shim/kill.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

v1::Cgroup Difference(const v1::Cgroup& a, const v1::Cgroup& b) {
  v1::Cgroup out;
  if (a.unified_dir() != b.unified_dir()) out.set_unified_dir(a.unified_dir());
  for (const std::string& dir : a.v1_dirs()) {
    if (std::find(b.v1_dirs().begin(), b.v1_dirs().end(), dir) == b.v1_dirs().end()) out.add_v1_dirs(dir);
  }
  return out;
}

}  // namespace

Exec::Exec(const v1::ExecRequest& request, const Container& container, Observer* observer)
    : id_(request.exec_id()),
      container_id_(request.container_id()),
      cgroup_(request.cgroup()),
      own_cgroup_(Difference(request.cgroup(), container.cgroup())),
      observer_(observer) {}

absl::StatusOr<std::unique_ptr<Exec>> Exec::Start(const Workbench& bench, const v1::ExecRequest& request,
                                                  const Container& container, process::Stdio stdio,
                                                  Observer* observer) {
  std::unique_ptr<Exec> exec(new Exec(request, container, observer));
  ASSIGN_OR_RETURN(process::Launch launch,
                   process::Exec(request, bench.pod, container.pid(), container.pidfd(), std::move(stdio)));
  ASSIGN_OR_RETURN(exec->task_, Task::Follow(bench.poller, bench.reaper, std::move(launch), exec.get()));
  return exec;
}

void Exec::OnStarted(absl::StatusOr<process::Outcome> outcome) {
  if (!outcome.ok()) {
    observer_->OnExecStarted(*this, outcome.status());
  } else {
    observer_->OnExecStarted(*this, std::move(outcome->tty_master));
  }
}

void Exec::OnEnded(const ExitStatus& status) {
  v1::Exit exit;
  exit.set_code(status.code);
  exit.set_signal(status.signal);
  exit.set_finished_at_ns(status.finished_at_ns);
  observer_->OnExecEnded(*this, exit);
}

absl::Status Exec::KillAll() {
  absl::Status tree = KillTree(pid(), cgroup_);
  absl::Status group = KillCgroup(own_cgroup_);
  return tree.ok() ? group : tree;
}

}  // namespace wherry::shim
