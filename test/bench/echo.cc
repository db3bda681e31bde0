// What the pod runs while port-forward is measured: it sends back whatever comes, one connection at a time for each child. The bytes never
// leave the kernel (splice(2)), so that what is measured is the runtime and not this.
//
//   wherry-bench-echo PORT
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kPipeBytes = 1 << 20;

int Listen(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
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

}  // namespace

int main(int argc, char** argv) {
  const int listener = argc == 2 ? Listen(static_cast<uint16_t>(strtoul(argv[1], nullptr, 10))) : -1;
  if (listener < 0) {
    perror("listen");
    return 1;
  }
  (void)signal(SIGCHLD, SIG_IGN);
  while (true) {
    const int connection = accept(listener, nullptr, nullptr);
    if (connection < 0) continue;
    if (fork() == 0) _exit(Echo(connection));
    close(connection);
  }
}
