#pragma once

#include <string>

#include "absl/status/status.h"
#include "cni/netlink/socket.h"

// A port of a bridge forwards nothing until the kernel's link watcher, a worker thread, has noticed the carrier of the
// veth pair. That happens within microseconds to milliseconds of the second end's going up; an ADD that returned earlier
// would hand out a container whose first packets are lost.
namespace wherry::netlink {

// Waits until the interface's operational state is up: looks, and when it is not, follows link events and looks again after
// each. `socket` and the calling thread are in the interface's namespace. DeadlineExceeded after `milliseconds`.
absl::Status WaitForUp(Socket& socket, const std::string& name, int milliseconds);

}  // namespace wherry::netlink
