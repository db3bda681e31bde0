#pragma once

namespace wherry::sys {

// For a TCP socket both ends of which will be on this host, before it connects or listens: Reno, which every kernel has and
// everybody may choose (tcp(7), TCP_CONGESTION), in place of the host's default. There is nothing to be congested on loopback, but
// BBR, which many nodes have as default, paces there too, and so takes four times the CPU a byte; what was connected with it goes
// on to pace. A failure changes nothing.
void UseLoopbackCongestionControl(int socket);

}  // namespace wherry::sys
