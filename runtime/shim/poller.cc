// epoll(7) with a plain list of timers: a shim has a handful of them at most.
#include "runtime/shim/poller.h"

#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <climits>

#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

int64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

}  // namespace

absl::StatusOr<Poller> Poller::Create() {
  Poller poller;
  poller.epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!poller.epoll_.valid()) return sys::Errno("epoll_create1");
  return poller;
}

absl::Status Poller::Add(int fd, uint32_t events, Handler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return sys::Errno("epoll_ctl add");
  return absl::OkStatus();
}

void Poller::Modify(int fd, uint32_t events, Handler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Poller::Remove(int fd) { (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Poller::SetTimer(Handler* handler, int64_t milliseconds) {
  timers_.erase(std::remove_if(timers_.begin(), timers_.end(), [&](const Timer& t) { return t.handler == handler; }),
                timers_.end());
  if (milliseconds >= 0) timers_.push_back({NowMs() + milliseconds, handler});
}

int Poller::TimeoutMs() const {
  if (timers_.empty()) return -1;
  int64_t first = INT64_MAX;
  for (const Timer& timer : timers_) first = std::min(first, timer.at);
  return static_cast<int>(std::clamp<int64_t>(first - NowMs(), 0, INT_MAX));
}

bool Poller::RunDueTimer() {
  if (timers_.empty()) return false;
  const int64_t now = NowMs();
  for (size_t i = 0; i < timers_.size(); ++i) {
    if (timers_[i].at > now) continue;
    Handler* handler = timers_[i].handler;
    timers_.erase(timers_.begin() + static_cast<ptrdiff_t>(i));
    handler->OnReady(0);
    return true;
  }
  return false;
}

void Poller::RunOnce() {
  if (RunDueTimer()) return;
  epoll_event event{};
  if (::epoll_wait(epoll_.get(), &event, 1, TimeoutMs()) > 0) {
    static_cast<Handler*>(event.data.ptr)->OnReady(event.events);
  }
}

}  // namespace wherry::shim
