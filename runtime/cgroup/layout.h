#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace wherry::cgroup {

// One mounted v1 hierarchy: its controllers ("cpu", "memory" …; "name=systemd" for one without) and its mount point.
struct V1Hierarchy {
  std::vector<std::string> controllers;
  std::string mount;
};

// Where the cgroup trees of this host are mounted.
struct Layout {
  std::vector<V1Hierarchy> v1;
  std::string unified;  // mount point of the v2 tree; "" on pure v1

  // "v2", "v1" or "hybrid".
  std::string Name() const;
};

// Finds the cgroup mounts at `root` and directly below it in the text of /proc/<pid>/mountinfo (proc(5)). A later mount on
// the same point hides an earlier one. NotFound when there is none.
absl::StatusOr<Layout> ParseLayout(absl::string_view mountinfo, const std::string& root);

// ParseLayout of /proc/thread-self/mountinfo.
absl::StatusOr<Layout> DetectLayout(const std::string& root);

}  // namespace wherry::cgroup
