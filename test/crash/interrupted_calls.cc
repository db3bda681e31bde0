// Preloaded into a program: every few times, a call that may wait is interrupted before it begins, as by a signal that came just then.
// Signals do that to nobody who has no handlers, but stops, debuggers and freezers do, and it is never there when one looks for it.
#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace {

bool Interrupted() {
  static std::atomic<unsigned> calls{0};
  if (calls++ % 5 != 4) return false;
  errno = EINTR;
  return true;
}

}  // namespace

// NOLINTNEXTLINE: a function's definition cannot be made without a macro here
#define WHERRY_INTERRUPT(type, name, parameters, arguments)                                   \
  extern "C" type name parameters {                                                           \
    static const auto real = reinterpret_cast<type(*) parameters>(::dlsym(RTLD_NEXT, #name)); \
    return Interrupted() ? -1 : real arguments;                                               \
  }

WHERRY_INTERRUPT(ssize_t, read, (int fd, void* to, size_t size), (fd, to, size))
WHERRY_INTERRUPT(ssize_t, write, (int fd, const void* from, size_t size), (fd, from, size))
WHERRY_INTERRUPT(ssize_t, pwrite, (int fd, const void* from, size_t size, off_t at), (fd, from, size, at))
WHERRY_INTERRUPT(ssize_t, recv, (int fd, void* to, size_t size, int flags), (fd, to, size, flags))
WHERRY_INTERRUPT(ssize_t, send, (int fd, const void* from, size_t size, int flags), (fd, from, size, flags))
WHERRY_INTERRUPT(ssize_t, recvmsg, (int fd, msghdr* to, int flags), (fd, to, flags))
WHERRY_INTERRUPT(ssize_t, sendmsg, (int fd, const msghdr* from, int flags), (fd, from, flags))
WHERRY_INTERRUPT(int, accept4, (int fd, sockaddr* peer, socklen_t* size, int flags), (fd, peer, size, flags))
WHERRY_INTERRUPT(int, waitid, (idtype_t type, id_t id, siginfo_t* info, int options), (type, id, info, options))
WHERRY_INTERRUPT(pid_t, waitpid, (pid_t pid, int* status, int options), (pid, status, options))

// Whoever finds something ready, or does not wait, is not interrupted.
extern "C" int poll(pollfd* fds, nfds_t count, int timeout) {
  static const auto real = reinterpret_cast<int (*)(pollfd*, nfds_t, int)>(::dlsym(RTLD_NEXT, "poll"));
  if (const int ready = real(fds, count, 0); ready != 0 || timeout == 0) return ready;
  return Interrupted() ? -1 : real(fds, count, timeout);
}

extern "C" int epoll_wait(int fd, epoll_event* events, int count, int timeout) {
  static const auto real = reinterpret_cast<int (*)(int, epoll_event*, int, int)>(::dlsym(RTLD_NEXT, "epoll_wait"));
  if (const int ready = real(fd, events, count, 0); ready != 0 || timeout == 0) return ready;
  return Interrupted() ? -1 : real(fd, events, count, timeout);
}
