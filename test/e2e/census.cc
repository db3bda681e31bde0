#include "test/e2e/census.h"

#include <net/if.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace fs = std::filesystem;
namespace {

void Diff(const std::string& kind, const std::multiset<std::string>& a, const std::multiset<std::string>& b,
          std::ostream& out) {
  std::multiset<std::string> lost, left;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(lost, lost.end()));
  std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::inserter(left, left.end()));
  for (const auto& s : left) out << kind << " left behind: " << s << "\n";
  for (const auto& s : lost) out << kind << " gone: " << s << "\n";
}

void Mounts(Census& c) {
  std::ifstream in("/proc/self/mountinfo");
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string id, parent, dev, root, target;
    fields >> id >> parent >> dev >> root >> target;
    c.mounts.insert(root.append(" on ").append(target));
  }
}

void Cgroups(Census& c, const std::string& cgroup) {
  std::error_code ec;
  for (const auto& top : fs::directory_iterator("/sys/fs/cgroup", ec)) {
    fs::path base = top.path().string() + cgroup;
    if (!fs::is_directory(base, ec)) continue;
    for (const auto& e : fs::recursive_directory_iterator(base, ec))
      if (e.is_directory(ec)) c.cgroups.insert(e.path());
  }
}

// Orphans that have ended are ours to reap: this process is the init of its PID namespace.
void ReapOrphans() {
  std::error_code ec;
  for (const auto& e : fs::directory_iterator("/proc", ec)) {
    std::string pid = e.path().filename(), line;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream stat("/proc/" + pid + "/stat");
    std::getline(stat, line);
    size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) continue;
    if (line.compare(name_end, 5, ") Z 1") == 0) waitpid(std::stoi(pid), nullptr, WNOHANG);
  }
}

void Processes(Census& c) {
  ReapOrphans();
  std::error_code ec;
  for (const auto& e : fs::directory_iterator("/proc", ec)) {
    std::string pid = e.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream stat("/proc/" + pid + "/comm");
    std::string comm;
    if (std::getline(stat, comm)) c.processes.insert(comm);
  }
}

// Not from /sys, which shows the interfaces of the network namespace in which it was mounted.
void Links(Census& c) {
  struct if_nameindex* all = if_nameindex();
  for (auto* one = all; one != nullptr && one->if_index != 0; ++one) c.links.insert(one->if_name);
  if_freenameindex(all);
}

}  // namespace

Census Take(const std::string& dir, const std::string& cgroup, pid_t daemon) {
  Census c;
  std::error_code ec;
  Mounts(c);
  Cgroups(c, cgroup);
  Processes(c);
  Links(c);
  for (const auto& e : fs::recursive_directory_iterator(dir, ec)) {
    std::string path = e.path().string().substr(dir.size());
    if (path.rfind("/logs/", 0) == 0 || path.find(".db") != std::string::npos ||
        path.find("/ipam/test/last_reserved_ip") == 0)
      continue;
    c.files.insert(path);
  }
  for (const auto& e : fs::directory_iterator("/proc/" + std::to_string(daemon) + "/fd", ec)) {
    (void)e;
    ++c.daemon_fds;
  }
  return c;
}

Census TakeAtRest(const std::string& dir, const std::string& cgroup, pid_t daemon) {
  Census census;
  const auto none = [](const std::multiset<std::string>& names, const char* prefix) {
    const auto first = names.lower_bound(prefix);
    return first == names.end() || first->rfind(prefix, 0) != 0;
  };
  Eventually("interfaces of removed pods and directories of ended imports to go", [&] {
    census = Take(dir, cgroup, daemon);
    return none(census.links, "veth") && none(census.files, "/lib/images/staging/");
  });
  return census;
}

std::string Difference(const Census& before, const Census& after) {
  std::ostringstream out;
  Diff("mount", before.mounts, after.mounts, out);
  Diff("link", before.links, after.links, out);
  Diff("cgroup", before.cgroups, after.cgroups, out);
  Diff("file", before.files, after.files, out);
  Diff("process", before.processes, after.processes, out);
  if (before.daemon_fds != after.daemon_fds)
    out << "wherryd has " << after.daemon_fds << " descriptors, had " << before.daemon_fds << "\n";
  return out.str();
}

}  // namespace wherry::e2e
