#pragma once

#include <sys/stat.h>

#include <string>

namespace wherry {

// A part of a name for what PID namespaces do not separate (cgroups, /tmp): a pid repeats in each of them, while runs of tests
// in different ones share the host.
inline std::string HostUnique(pid_t pid) {
  struct stat ns {};
  (void)::stat("/proc/self/ns/pid", &ns);
  return std::to_string(ns.st_ino) + "-" + std::to_string(pid);
}

}  // namespace wherry
