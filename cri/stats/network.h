#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace wherry::stats {

struct Interface {
  std::string name;
  uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
  uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;
};

// The counters of all interfaces but lo in the network namespace of process `pid` (proc_pid_net(5), "dev"): no thread has to
// enter the namespace. NotFound when the process is gone.
absl::StatusOr<std::vector<Interface>> ReadInterfaces(pid_t pid);

// The same from the text of a /proc/<pid>/net/dev.
std::vector<Interface> ParseNetDev(const std::string& text);

}  // namespace wherry::stats
