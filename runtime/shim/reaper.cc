// A pidfd names a child without the races of a pid, and is readable when the child has ended. Orphans have none: they
// are grandchildren whose parent died (daemons in containers of a shared PID namespace), which the kernel hands to the
// nearest subreaper. SIGCHLD tells of them, and waitid(WNOWAIT) shows the next ended child without taking it: a watched
// one goes its own way, any other is reaped by its pid. So no exit status can be stolen, and no zombie stays.
#include "runtime/shim/reaper.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/sys/status.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace wherry::shim {
namespace {

ExitStatus FromSiginfo(const siginfo_t& info) {
  ExitStatus status;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  status.finished_at_ns = now.tv_sec * 1000000000 + now.tv_nsec;
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal = info.si_status;
    status.code = 128 + info.si_status;
  }
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Reaper>> Reaper::Create(Poller& poller) {
  std::unique_ptr<Reaper> reaper(new Reaper(poller));
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  reaper->signals_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!reaper->signals_.valid()) return sys::Errno("signalfd");
  RETURN_IF_ERROR(poller.Add(reaper->signals_.get(), EPOLLIN, reaper.get()));
  return reaper;
}

Reaper::~Reaper() {
  if (signals_.valid()) poller_.Remove(signals_.get());
  for (const auto& [pid, child] : children_) poller_.Remove(child->pidfd);
}

absl::Status Reaper::Watch(pid_t pid, int pidfd, Owner* owner) {
  auto child = std::make_unique<Child>(*this, pid, pidfd, owner);
  RETURN_IF_ERROR_CTX(poller_.Add(pidfd, EPOLLIN, child.get()), "pidfd");
  children_[pid] = std::move(child);
  return absl::OkStatus();
}

void Reaper::Abandon(pid_t pid) {
  auto it = children_.find(pid);
  if (it == children_.end()) return;
  poller_.Remove(it->second->pidfd);
  children_.erase(it);
  siginfo_t info{};
  (void)::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | __WALL);
}

void Reaper::Reap(pid_t pid) {
  auto it = children_.find(pid);
  if (it == children_.end()) return;
  siginfo_t info{};
  const int rc =
      ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(it->second->pidfd), &info, WEXITED | WNOHANG | __WALL);
  if (rc == 0 && info.si_pid == 0) return;
  Owner* owner = it->second->owner;
  poller_.Remove(it->second->pidfd);
  children_.erase(it);
  owner->OnExit(FromSiginfo(info));
}

void Reaper::OnReady(uint32_t) {
  signalfd_siginfo signals[8];
  while (::read(signals_.get(), signals, sizeof(signals)) > 0) {
  }
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) return;
    if (children_.count(info.si_pid) != 0) {
      Reap(info.si_pid);
    } else {
      (void)::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG | __WALL);
    }
  }
}

}  // namespace wherry::shim
