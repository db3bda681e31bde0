#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace wherry::stats {

struct Descriptors {
  uint64_t all = 0, sockets = 0;
};

// What these processes have open together (proc_pid_fd(5)); processes that ended meanwhile have nothing. This costs a system
// call a descriptor, so that it is for those who ask for it by name, and unset when there are more than 65,536.
std::optional<Descriptors> CountDescriptors(const std::vector<int>& pids);

}  // namespace wherry::stats
