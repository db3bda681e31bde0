#include "runtime/sys/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace wherry::sys {

void UseLoopbackCongestionControl(int socket) {
  constexpr char kReno[] = "reno";
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, kReno, sizeof kReno - 1);
}

}  // namespace wherry::sys
