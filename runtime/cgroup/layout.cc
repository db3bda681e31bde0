// Which cgroup trees a host has. The mount table is the only honest source: /proc/cgroups lists controllers that no
// hierarchy has, the directory names below /sys/fs/cgroup are a habit of distributions, and statfs tells v1 from v2 but not
// which controllers a v1 hierarchy carries. Names in the super options are compared as whole tokens, for "cpu" is also
// the beginning of "cpuset" and "cpuacct".

#include "runtime/cgroup/layout.h"

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr size_t kMountInfoMax = 16 << 20;

struct Mount {
  std::string type;
  std::vector<std::string> super_options;
};

// Undoes the octal escapes of mountinfo: space, tab, newline and backslash.
std::string Unescape(absl::string_view field) {
  std::string out;
  for (size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      out += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
      i += 3;
    } else {
      out += field[i];
    }
  }
  return out;
}

bool IsOption(absl::string_view option) {
  static constexpr absl::string_view kOptions[] = {
      "rw", "ro", "clone_children", "noprefix", "xattr", "cpuset_v2_mode", "favordynmods", "none"};
  for (absl::string_view known : kOptions) {
    if (option == known) return true;
  }
  return absl::StartsWith(option, "release_agent=");
}

}  // namespace

std::string Layout::Name() const { return v1.empty() ? "v2" : unified.empty() ? "v1" : "hybrid"; }

absl::StatusOr<Layout> ParseLayout(absl::string_view mountinfo, const std::string& root) {
  std::map<std::string, Mount> mounts;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    std::vector<absl::string_view> left = absl::StrSplit(halves.first, ' ');
    std::vector<absl::string_view> right = absl::StrSplit(halves.second, ' ');
    if (left.size() < 6 || right.size() < 3) continue;
    std::string point = Unescape(left[4]);
    absl::string_view below = point;
    if (!absl::ConsumePrefix(&below, root)) continue;
    if (!below.empty() && (below[0] != '/' || below.find('/', 1) != absl::string_view::npos)) continue;
    // A new mount on `root` hides everything mounted below the old one.
    if (below.empty()) mounts.clear();
    mounts[point] = Mount{std::string(right[0]), absl::StrSplit(right[2], ',')};
  }
  Layout layout;
  for (auto& [point, mount] : mounts) {
    if (mount.type == "cgroup2") layout.unified = point;
    if (mount.type != "cgroup") continue;
    V1Hierarchy hierarchy{{}, point};
    for (std::string& option : mount.super_options) {
      if (!IsOption(option)) hierarchy.controllers.push_back(std::move(option));
    }
    if (!hierarchy.controllers.empty()) layout.v1.push_back(std::move(hierarchy));
  }
  if (layout.v1.empty() && layout.unified.empty())
    return absl::NotFoundError(absl::StrCat("no cgroup file system is mounted at \"", root, "\" or directly below it"));
  return layout;
}

absl::StatusOr<Layout> DetectLayout(const std::string& root) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(-1, "/proc/thread-self/mountinfo", kMountInfoMax));
  return ParseLayout(text, root);
}

}  // namespace wherry::cgroup
