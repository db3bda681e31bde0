#pragma once

#include <cstdint>
#include <string>

// Counts what the OOM killer did in a memory cgroup.
namespace wherry::shim {

// Processes of the cgroup at `memory_dir` that the OOM killer has ended so far: oom_kill in memory.events (v2) or in
// memory.oom_control (v1, Linux 4.13). 0 when it cannot be read.
uint64_t OomKills(const std::string& memory_dir);

}  // namespace wherry::shim
