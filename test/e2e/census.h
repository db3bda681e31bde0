#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <string>

namespace wherry::e2e {

// Everything that a pod may leave on a host, as names: comparing two of them says what was left and what was
// lost.
struct Census {
  std::multiset<std::string> mounts, links, cgroups, files, processes;
  size_t daemon_fds = 0;
};

// `dir` is the node's directory (its database and logs are left out), `cgroup` its cgroup, `daemon` wherryd's
// pid.
Census Take(const std::string& dir, const std::string& cgroup, pid_t daemon);

// Of a node on which no pod is left: waits until the kernel has dismantled the namespaces of those that were there, and
// until wherryd has removed in the background what an import needed.
Census TakeAtRest(const std::string& dir, const std::string& cgroup, pid_t daemon);

// One line for each difference; empty when equal.
std::string Difference(const Census& before, const Census& after);

}  // namespace wherry::e2e
