#include "cni/netlink/wait.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "cni/netlink/address.h"
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

// The kernel tells nobody that an address was found to be unique.
constexpr int64_t kLookAgainMilliseconds = 20;

// Looks, and while it is not `done` follows the group's events and looks again after each, or a moment later. False after
// `milliseconds`.
absl::StatusOr<bool> Await(int group, int milliseconds, absl::FunctionRef<absl::StatusOr<bool>()> done) {
  const int64_t deadline = NowMilliseconds() + milliseconds;
  ASSIGN_OR_RETURN(bool over, done());
  if (over) return true;
  ASSIGN_OR_RETURN(Socket events, Socket::Open());
  RETURN_IF_ERROR(events.Join(group));
  while (true) {
    ASSIGN_OR_RETURN(over, done());
    const int64_t left = deadline - NowMilliseconds();
    if (over || left <= 0) return over;
    pollfd waiting{events.fd(), POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(std::min(left, kLookAgainMilliseconds))) < 0 && errno != EINTR)
      return sys::Errno("poll netlink events");
    Drain(events.fd());
  }
}

}  // namespace

absl::Status WaitForUp(Socket& socket, const std::string& name, int milliseconds) {
  Link link;
  ASSIGN_OR_RETURN(const bool up, Await(RTNLGRP_LINK, milliseconds, [&]() -> absl::StatusOr<bool> {
                     ASSIGN_OR_RETURN(link, GetLink(socket, name));
                     return link.operstate == IF_OPER_UP;
                   }));
  if (up) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("bridge port ", name, " is not up after ", milliseconds,
                                                  " ms: operational state ", static_cast<int>(link.operstate)));
}

absl::Status WaitForDetection(Socket& socket, int index, int milliseconds) {
  Detection detection;
  ASSIGN_OR_RETURN(const bool over, Await(RTNLGRP_IPV6_IFADDR, milliseconds, [&]() -> absl::StatusOr<bool> {
                     ASSIGN_OR_RETURN(detection, GetDetection(socket, index));
                     return !detection.duplicate.empty() || detection.pending.empty();
                   }));
  if (!detection.duplicate.empty())
    return absl::AlreadyExistsError(absl::StrCat("address ", detection.duplicate, " is in use elsewhere on the link"));
  if (over) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("duplicate address detection of ", detection.pending, " is not over after ", milliseconds, " ms"));
}

}  // namespace wherry::netlink
