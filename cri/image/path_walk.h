#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/sys/unique_fd.h"

// The way from a layer's root to the directory that an entry goes into. Directories stay open along the current path, because tar
// streams list a directory's entries together: the usual entry costs no lookup at all. Each step opens one component with
// O_NOFOLLOW, so no string with a slash ever reaches the kernel and no symbolic link is ever followed; a layer cannot leave its
// directory by any order of entries (CVE-2021-32760, CVE-2025-47290 and many before them).
namespace wherry::image {

// "a/./b//c" as {"a", "b", "c"}.
std::vector<absl::string_view> SplitPath(absl::string_view path);

class PathWalk {
 public:
  explicit PathWalk(sys::UniqueFd root);

  // Opens the directory at `parts`, making what is missing of it with mode 0755. The descriptor stays valid until the next call.
  // `created` counts the directories made. InvalidArgument when a component is no directory.
  absl::StatusOr<int> Enter(const std::vector<absl::string_view>& parts, int& created);
  // The same without making anything; NotFound.
  absl::StatusOr<int> Find(const std::vector<absl::string_view>& parts);
  // The directory `parts` was removed or replaced: forget descriptors at and below it.
  void Forget(const std::vector<absl::string_view>& parts);
  int root() const { return root_.get(); }

 private:
  struct Level {
    std::string name;
    sys::UniqueFd fd;
  };
  absl::StatusOr<int> Walk(const std::vector<absl::string_view>& parts, bool create, int& created);
  size_t Common(const std::vector<absl::string_view>& parts) const;

  sys::UniqueFd root_;
  std::vector<Level> levels_;
};

}  // namespace wherry::image
