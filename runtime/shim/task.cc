// Two descriptors tell of a child: the outcome pipe and the pidfd. A program that ends at once makes both readable, in
// any order, so the exit handler takes the outcome first: nobody hears of an end before the start. A failure is told when
// the child is reaped: until then it keeps the root file system busy and its cgroup populated, and whoever hears of the
// failure wants to remove both.
#include "runtime/shim/task.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/sys/status.h"

namespace wherry::shim {

absl::StatusOr<std::unique_ptr<Task>> Task::Follow(Poller& poller, Reaper& reaper, process::Launch launch,
                                                   Owner* owner) {
  std::unique_ptr<Task> task(new Task(poller, reaper, std::move(launch), owner));
  absl::Status status = reaper.Watch(task->pid(), task->pidfd(), task.get());
  if (status.ok()) status = poller.Add(task->launch_.outcome.get(), EPOLLIN, task.get());
  if (status.ok()) return task;
  (void)task->Signal(SIGKILL);
  return status;
}

Task::~Task() {
  if (launch_.outcome.valid()) poller_.Remove(launch_.outcome.get());
  if (!reaped_) reaper_.Abandon(launch_.pid);
}

absl::Status Task::Signal(int signal) const {
  if (::syscall(SYS_pidfd_send_signal, launch_.pidfd.get(), signal, nullptr, 0) == 0 || errno == ESRCH)
    return absl::OkStatus();
  return sys::Errno(absl::StrCat("pidfd_send_signal ", signal));
}

void Task::OnReady(uint32_t) { TakeOutcome(); }

void Task::TakeOutcome() {
  auto outcome = process::ReadOutcome(launch_);
  poller_.Remove(launch_.outcome.get());
  launch_.outcome.reset();
  launch_.tty_socket.reset();
  if (!outcome.ok()) {
    failure_ = outcome.status();
    (void)Signal(SIGKILL);
    return;
  }
  owner_->OnStarted(std::move(outcome));
}

void Task::OnExit(const ExitStatus& status) {
  reaped_ = true;
  if (launch_.outcome.valid()) TakeOutcome();
  if (failure_.ok()) {
    owner_->OnEnded(status);
  } else {
    owner_->OnStarted(failure_);
  }
}

}  // namespace wherry::shim
