// Names derive from ids, so whatever has an id's name and no record is left over from a crash between two steps.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <functional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "cri/container/directories.h"
#include "cri/container/ids.h"
#include "cri/pod/core.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::pod {
namespace {

namespace fs = std::filesystem;

std::string AsItIs(const std::string& name) { return name; }

// Ids that the entries of a directory are, or that `id_of` makes of them.
std::vector<std::string> IdsIn(const std::string& directory,
                               const std::function<std::string(const std::string&)>& id_of = AsItIs) {
  std::vector<std::string> out;
  std::error_code ec;
  for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec))
    if (std::string id = id_of(it->path().filename()); container::IsId(id)) out.push_back(id);
  return out;
}

void Log(absl::string_view what, const std::string& id, const absl::Status& status) {
  if (status.ok())
    spdlog::info("removed {} {}, which no record explains", std::string(what), id);
  else
    spdlog::error("{} {} is left over: {}", std::string(what), id, std::string(status.message()));
}

bool Known(const Core& core, const std::string& pod_id) { return core.store.FindPod(pod_id).ok(); }

}  // namespace

shim::Process FindShim(const std::string& pod_id) {
  std::error_code ec;
  for (fs::directory_iterator it("/proc", ec), end; !ec && it != end; it.increment(ec)) {
    shim::Process process;
    const std::string pid = it->path().filename();
    if (!absl::SimpleAtoi(pid, &process.pid)) continue;
    auto line = sys::ReadFileAt(AT_FDCWD, "/proc/" + pid + "/cmdline");
    if (!line.ok() || !absl::StrContains(*line, "wherry-shim") || !absl::StrContains(*line, pod_id)) continue;
    auto stat = sys::ReadFileAt(AT_FDCWD, "/proc/" + pid + "/stat");
    if (!stat.ok()) continue;
    // Fields are counted from the last ')': the name before it may hold spaces. Start time is field 22.
    std::vector<std::string> fields = absl::StrSplit(stat->substr(stat->rfind(')') + 2), ' ');
    if (fields.size() > 19 && absl::SimpleAtoi(fields[19], &process.start_time)) return process;
  }
  return {};
}

std::set<std::string> UnknownPods(const Core& core) {
  std::set<std::string> out;
  for (const auto& ids :
       {IdsIn(core.paths.pods()), IdsIn(core.paths.all_netns()), core.network.Attached(core.paths.all_netns())})
    for (const std::string& id : ids)
      if (container::IsId(id) && !Known(core, id)) out.insert(id);
  return out;
}

namespace {

// DEL needs the namespace, and addresses are released by DEL alone.
void RemovePodLeftovers(Core& core, const std::string& id) {
  if (shim::Process shim = FindShim(id); shim.pid > 0) Log("shim of pod", id, core.containers.hub.End(id, shim));
  WHERRY_CRASH_POINT("leftovers.pod");
  network::PodNetwork pod;
  pod.pod_id = id;
  pod.netns_path = core.paths.netns(id);
  absl::Status removed = core.network.Remove(pod);
  if (removed.ok()) removed = Unpin(pod.netns_path);
  if (removed.ok()) removed = container::RemoveTree(core.paths.pod(id));
  Log("pod", id, removed);
}

}  // namespace

void RemoveLeftovers(Core& core) {
  for (const std::string& id : UnknownPods(core)) RemovePodLeftovers(core, id);
  for (const std::string& id : IdsIn(core.paths.containers()))
    if (!core.store.FindContainer(id).ok())
      Log("container directory", id, container::RemoveTree(core.paths.container(id)));
  auto members = core.containers.cgroups.Members(core.paths.own_cgroups());
  if (!members.ok()) return;
  const std::string tree = members->memory_dir.empty() ? members->unified_dir : members->memory_dir;
  for (const std::string& id : IdsIn(tree, [&](const std::string& name) { return core.paths.pod_of_own_cgroup(name); }))
    if (!Known(core, id)) Log("cgroup", id, container::DestroyCgroup(core.containers, core.paths.own_pod_cgroup(id)));
}

}  // namespace wherry::pod
