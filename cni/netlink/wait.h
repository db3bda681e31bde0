#pragma once

#include <string>

#include "absl/status/status.h"
#include "cni/netlink/socket.h"

// A port of a bridge forwards nothing until the kernel's link watcher, a worker thread, has noticed the carrier of the
// veth pair. That happens within microseconds to milliseconds of the second end's going up; an ADD that returned earlier
// would hand out a container whose first packets are lost.
namespace wherry::netlink {

// Waits until the interface's operational state is up: looks, and when it is not, follows link events and looks again after
// each, or a moment later. `socket` and the calling thread are in the interface's namespace. DeadlineExceeded after `milliseconds`.
absl::Status WaitForUp(Socket& socket, const std::string& name, int milliseconds);

// Waits until duplicate address detection (RFC 4862, 5.4) of the interface's IPv6 addresses is over, a second or two after it has
// come up. AlreadyExists names an address that somebody else on the link has; DeadlineExceeded after `milliseconds`. As above,
// `socket` and the calling thread are in the interface's namespace.
absl::Status WaitForDetection(Socket& socket, int index, int milliseconds);

}  // namespace wherry::netlink
