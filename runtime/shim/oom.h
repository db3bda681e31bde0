#pragma once

#include <cstdint>
#include <optional>
#include <string>

// Counts what the OOM killer did in a memory cgroup.
namespace wherry::shim {

// Processes of the cgroup at `memory_dir` that the OOM killer has ended so far: oom_kill in memory.events (v2) or in
// memory.oom_control (v1, Linux 4.13). Unset when it cannot be read.
std::optional<uint64_t> OomKills(const std::string& memory_dir);

// The same of the slice around a scope, which on v2 includes those of the scope; unset for a cgroup that is no scope. systemd removes a
// scope with its last process, which may be before anybody could read its count: then the slice's has grown since the scope's beginning.
std::optional<uint64_t> OomKillsOfSlice(const std::string& memory_dir);

}  // namespace wherry::shim
