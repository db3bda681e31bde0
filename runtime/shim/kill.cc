// A fork bomb outruns a loop over pids. cgroup.kill stops that in the kernel, for forks under way too. Its v1 equivalent
// is the freezer: once the cgroup is FROZEN nobody in it can fork, SIGKILL waits until the thaw, and then all die. While
// it is still FREEZING a few rounds of killing make up for it, since a killed task leaves the freezer's count.
#include "runtime/shim/kill.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"

namespace wherry::shim {
namespace {

constexpr int kMaxDepth = 16;
constexpr int kFreezeRounds = 50;
constexpr int kStopRounds = 200;
constexpr char kFreezerState[] = "freezer.state";
constexpr char kProcs[] = "cgroup.procs";

// Appends the members of the cgroup `dir` and of those below it.
void Members(int dir, int depth, std::vector<pid_t>& out) {
  if (auto text = sys::ReadFileAt(dir, kProcs); text.ok()) {
    for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      int pid = 0;
      if (absl::SimpleAtoi(line, &pid) && pid > 0) out.push_back(pid);
    }
  }
  if (depth == kMaxDepth) return;
  const int copy = ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* entries = copy < 0 ? nullptr : ::fdopendir(copy);
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    if (auto child = sys::OpenAt(dir, entry->d_name, O_RDONLY | O_DIRECTORY); child.ok())
      Members(child->get(), depth + 1, out);
  }
  ::closedir(entries);
}

std::vector<pid_t> MembersOf(const std::string& dir) {
  std::vector<pid_t> pids;
  if (auto fd = sys::OpenAt(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY); fd.ok()) Members(fd->get(), 0, pids);
  return pids;
}

// The v1 directory whose hierarchy has the freezer, or "".
std::string FreezerDir(const v1::Cgroup& cgroup) {
  for (const std::string& dir : cgroup.v1_dirs()) {
    if (::access(absl::StrCat(dir, "/", kFreezerState).c_str(), F_OK) == 0) return dir;
  }
  return "";
}

absl::Status FreezeKillThaw(const std::string& dir) {
  if (MembersOf(dir).empty()) return absl::OkStatus();
  const std::string state = absl::StrCat(dir, "/", kFreezerState);
  absl::Status frozen = sys::WriteFileAt(AT_FDCWD, state, "FROZEN");
  for (int round = 0; round < kFreezeRounds; ++round) {
    auto now = sys::ReadFileAt(AT_FDCWD, state);
    for (pid_t pid : MembersOf(dir)) (void)::kill(pid, SIGKILL);
    if (!frozen.ok() || !now.ok() || *now == "FROZEN\n") break;
  }
  absl::Status thawed = sys::WriteFileAt(AT_FDCWD, state, "THAWED");
  return frozen.ok() ? thawed : frozen;
}

struct Relation {
  pid_t parent = 0;
  pid_t session = 0;
  bool still = false;  // stopped or dead
};

// Fields 3, 4 and 6 of /proc/<pid>/stat; the name before them may hold anything, so they are found from the last ')'.
bool ReadRelation(pid_t pid, Relation* out) {
  auto stat = sys::ReadFileAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/stat"), 4096);
  if (!stat.ok()) return false;
  const size_t paren = stat->rfind(')');
  if (paren == std::string::npos) return false;
  std::vector<std::string> fields = absl::StrSplit(stat->substr(paren + 1), ' ', absl::SkipEmpty());
  if (fields.size() <= 3) return false;
  out->still = fields[0].find_first_of("TtZXx") == 0;
  return absl::SimpleAtoi(fields[1], &out->parent) && absl::SimpleAtoi(fields[3], &out->session);
}

// Adds to `tree` those among `candidates` that descend from a member, or are of the root's session. True when all of the
// tree that is left was still, and so makes no more children.
bool AddDescendants(pid_t root, const std::vector<pid_t>& candidates, std::set<pid_t>& tree) {
  std::map<pid_t, Relation> relations;
  for (pid_t pid : candidates) {
    if (Relation r; ReadRelation(pid, &r)) relations[pid] = r;
  }
  for (size_t before = 0; before != tree.size();) {
    before = tree.size();
    for (const auto& [pid, r] : relations) {
      if (tree.count(r.parent) != 0 || r.session == root) tree.insert(pid);
    }
  }
  return std::all_of(relations.begin(), relations.end(),
                     [&](const auto& entry) { return tree.count(entry.first) == 0 || entry.second.still; });
}

}  // namespace

absl::Status KillCgroup(const v1::Cgroup& cgroup) {
  absl::Status unified;
  if (!cgroup.unified_dir().empty())
    unified = sys::WriteFileAt(AT_FDCWD, absl::StrCat(cgroup.unified_dir(), "/cgroup.kill"), "1");
  if (sys::IsErrno(unified, ENOENT) || sys::IsErrno(unified, ENODEV)) unified = absl::OkStatus();
  const std::string freezer = FreezerDir(cgroup);
  if (freezer.empty()) return unified;
  absl::Status v1 = FreezeKillThaw(freezer);
  return unified.ok() ? v1 : unified;
}

bool CgroupIsEmpty(const v1::Cgroup& cgroup) {
  const std::string freezer = FreezerDir(cgroup);
  if (!freezer.empty()) return MembersOf(freezer).empty();
  return cgroup.unified_dir().empty() || MembersOf(cgroup.unified_dir()).empty();
}

absl::Status KillTree(pid_t root, const v1::Cgroup& cgroup) {
  std::string dir = FreezerDir(cgroup);
  if (dir.empty()) dir = cgroup.unified_dir();
  // Stopped processes do not fork: a look at a tree that is still finds all of it. A fork that was under way when the signal
  // came is completed first, so one waits for the stop itself; not for ever, as a process in the kernel may take long.
  std::set<pid_t> tree = {root};
  for (int round = 0; round < kStopRounds; ++round) {
    const size_t before = tree.size();
    for (pid_t pid : tree) (void)::kill(pid, SIGSTOP);
    if (AddDescendants(root, MembersOf(dir), tree) && tree.size() == before) break;
    (void)::sched_yield();
  }
  for (size_t killed = 0; killed != tree.size();) {
    killed = tree.size();
    for (pid_t pid : tree) (void)::kill(pid, SIGKILL);
    (void)AddDescendants(root, MembersOf(dir), tree);
  }
  return absl::OkStatus();
}

}  // namespace wherry::shim
