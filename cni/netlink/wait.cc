#include "cni/netlink/wait.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "cni/netlink/link.h"
#include "runtime/sys/status.h"

namespace wherry::netlink {
namespace {

int64_t NowMilliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// Events are only a reason to look again, so their contents are dropped, and so is an overflow (ENOBUFS).
void Drain(int fd) {
  std::array<char, 64> buffer{};
  while (recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0 || errno == ENOBUFS) {
  }
}

}  // namespace

absl::Status WaitForUp(Socket& socket, const std::string& name, int milliseconds) {
  const int64_t deadline = NowMilliseconds() + milliseconds;
  ASSIGN_OR_RETURN(Link link, GetLink(socket, name));
  if (link.operstate == IF_OPER_UP) return absl::OkStatus();
  ASSIGN_OR_RETURN(Socket events, Socket::Open());
  RETURN_IF_ERROR(events.Join(RTNLGRP_LINK));
  while (true) {
    ASSIGN_OR_RETURN(link, GetLink(socket, name));
    if (link.operstate == IF_OPER_UP) return absl::OkStatus();
    const int64_t left = deadline - NowMilliseconds();
    if (left <= 0)
      return absl::DeadlineExceededError(absl::StrCat("bridge port ", name, " is not up after ", milliseconds,
                                                      " ms: operational state ", static_cast<int>(link.operstate)));
    pollfd waiting{events.fd(), POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(left)) < 0 && errno != EINTR) return sys::Errno("poll link events");
    Drain(events.fd());
  }
}

}  // namespace wherry::netlink
