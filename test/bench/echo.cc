// What the pod runs while port-forward is measured. It does as little as can be (splice(2), MSG_TRUNC), so that what is measured
// is the runtime and not this. A child for each connection to
//
//   PORT      sends back whatever comes;
//   PORT + 1  reads a number of 64 bits, and sends so many bytes: FILE, again and again;
//   PORT + 2  reads a number, throws so many bytes away, and sends one.
//
//   wherry-bench-echo PORT FILE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kPipeBytes = 1 << 20;

int Listen(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  // Else, where BBR is the default, its pacing would be what is measured; all accepted sockets have it from here.
  constexpr char kCongestionControl[] = "reno";
  (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kCongestionControl, sizeof kCongestionControl - 1);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(fd, SOMAXCONN) != 0)
    return -1;
  return fd;
}

bool MoveAll(int from, int to, ssize_t bytes) {
  while (bytes > 0) {
    const ssize_t n = splice(from, nullptr, to, nullptr, static_cast<size_t>(bytes), SPLICE_F_MOVE);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes -= n;
  }
  return true;
}

int Echo(int socket) {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // else it is smaller, and works as well
  while (true) {
    const ssize_t n = splice(socket, nullptr, ends[1], nullptr, kPipeBytes, SPLICE_F_MOVE);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0 ? 0 : 1;
    if (!MoveAll(ends[0], socket, n)) return 1;
  }
}

int Source(int socket, const char* path) {
  uint64_t left = 0;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  if (file < 0 || fstat(file, &status) != 0 || recv(socket, &left, sizeof left, MSG_WAITALL) != sizeof left) return 1;
  const auto size = static_cast<size_t>(status.st_size);
  const void* const bytes = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  if (bytes == MAP_FAILED) return 1;
  // As servers do: send(2) puts bytes into large pages, sendfile(2) would leave them in small ones for all who come after.
  for (uint64_t at = 0; left > 0;) {
    const ssize_t n = send(socket, static_cast<const char*>(bytes) + at, std::min<uint64_t>(left, size - at), 0);
    if (n <= 0) return 1;
    left -= static_cast<uint64_t>(n);
    at = (at + static_cast<uint64_t>(n)) % size;
  }
  return 0;
}

int Sink(int socket) {
  uint64_t left = 0;
  if (recv(socket, &left, sizeof left, MSG_WAITALL) != sizeof left) return 1;
  while (left > 0) {
    const ssize_t n =
        recv(socket, nullptr, std::min<size_t>(left, kPipeBytes), MSG_TRUNC);  // tcp(7): they are discarded
    if (n <= 0) return 1;
    left -= static_cast<uint64_t>(n);
  }
  return send(socket, "", 1, 0) == 1 ? 0 : 1;
}

int Serve(int which, int connection, const char* file) {
  if (which == 0) return Echo(connection);
  return which == 1 ? Source(connection, file) : Sink(connection);
}

}  // namespace

int main(int argc, char** argv) {
  pollfd listeners[3] = {};
  for (int i = 0; i < 3; ++i) {
    listeners[i] = {argc == 3 ? Listen(static_cast<uint16_t>(strtoul(argv[1], nullptr, 10) + i)) : -1, POLLIN, 0};
    if (listeners[i].fd >= 0) continue;
    perror("listen");
    return 1;
  }
  (void)signal(SIGCHLD, SIG_IGN);
  while (poll(listeners, 3, -1) > 0) {
    for (int i = 0; i < 3; ++i) {
      const int connection = listeners[i].revents != 0 ? accept(listeners[i].fd, nullptr, nullptr) : -1;
      if (connection < 0) continue;
      if (fork() == 0) _exit(Serve(i, connection, argv[2]));
      close(connection);
    }
  }
  return 1;
}
