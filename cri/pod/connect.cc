// A connection into a pod. A socket belongs to the network namespace in which it was made, whoever uses it later; so only
// socket(2) is called inside, on a thread that is made for it and ends right after. wherryd does it and not the shim: a shim is
// single-threaded and small, and a request to it would cost more than the thread. A pooled thread would have to come back
// from the namespace, and one that could not would make everything after it in a stranger's network.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cri/pod/core.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"
#include "runtime/sys/tcp.h"

namespace wherry::pod {
namespace {

// A listener with a full backlog drops what comes; the kernel asks again after 1, 3 and 7 s.
constexpr absl::Duration kTimeout = absl::Seconds(10);

// One of each family; invalid where the kernel has none.
struct Sockets {
  sys::UniqueFd v4, v6;
};

Sockets OpenSockets() {
  constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  Sockets out{sys::UniqueFd(::socket(AF_INET, kType, 0)), sys::UniqueFd(::socket(AF_INET6, kType, 0))};
  for (const sys::UniqueFd* socket : {&out.v4, &out.v6}) sys::UseLoopbackCongestionControl(socket->get());
  return out;
}

absl::StatusOr<Sockets> OpenSocketsIn(const std::string& netns) {
  ASSIGN_OR_RETURN_CTX(sys::UniqueFd ns, sys::OpenAt(AT_FDCWD, netns, O_RDONLY), "network namespace");
  absl::StatusOr<Sockets> result = Sockets{};
  try {
    std::thread([&] {
      absl::Status entered = sys::SetNamespace(ns.get(), CLONE_NEWNET);
      if (entered.ok()) {
        result = OpenSockets();
      } else {
        result = sys::Annotate(entered, "network namespace");
      }
    }).join();
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(absl::StrCat("thread for a connection: ", e.what()));
  }
  return result;
}

// OK when connected. DeadlineExceeded when nobody answers in time.
absl::Status ConnectTo(const sys::UniqueFd& socket, const sockaddr* address, socklen_t size) {
  if (!socket.valid()) return absl::UnavailableError("the kernel has no such sockets");
  if (::connect(socket.get(), address, size) == 0) return absl::OkStatus();
  if (errno != EINPROGRESS && errno != EINTR) return sys::Errno("connect");
  const sys::Deadline deadline(kTimeout);
  pollfd polled{socket.get(), POLLOUT, 0};
  int ready = 0;
  do {
    ready = ::poll(&polled, 1, deadline.poll_ms());
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return sys::Errno("poll");
  if (ready == 0) return absl::DeadlineExceededError(absl::StrCat("no answer in ", absl::FormatDuration(kTimeout)));
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) return sys::Errno("SO_ERROR");
  return error == 0 ? absl::OkStatus() : sys::Errno("connect", error);
}

absl::Status ConnectV4(const sys::UniqueFd& socket, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ConnectTo(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

absl::Status ConnectV6(const sys::UniqueFd& socket, uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  return ConnectTo(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace

absl::StatusOr<sys::UniqueFd> Connect(Core& core, const std::string& id, uint16_t port) {
  if (port == 0) return absl::InvalidArgumentError("port 0 cannot be connected to");
  ASSIGN_OR_RETURN(store::Pod pod, Find(core, id));
  if (pod->state() != store::POD_READY)
    return absl::FailedPreconditionError(absl::StrCat("sandbox ", pod->id(), " is not ready"));
  WHERRY_FAIL_POINT("stream.connect");
  Sockets sockets;
  if (HasHostNetwork(pod->config())) {
    sockets = OpenSockets();
  } else {
    ASSIGN_OR_RETURN(sockets, OpenSocketsIn(core.paths.netns(pod->id())));
  }
  WHERRY_FAIL_POINT("stream.sockets");
  const std::string where = absl::StrCat("port ", port, " of sandbox ", pod->id());
  absl::Status v4 = ConnectV4(sockets.v4, port);
  if (v4.ok()) return std::move(sockets.v4);
  // Somebody listens and does not accept: he is not elsewhere too.
  if (absl::IsDeadlineExceeded(v4)) return absl::UnavailableError(absl::StrCat(where, ": 127.0.0.1: ", v4.message()));
  absl::Status v6 = ConnectV6(sockets.v6, port);
  if (v6.ok()) return std::move(sockets.v6);
  return absl::UnavailableError(absl::StrCat(where, ": 127.0.0.1: ", v4.message(), "; [::1]: ", v6.message()));
}

}  // namespace wherry::pod
