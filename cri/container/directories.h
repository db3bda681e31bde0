#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"

// Directories that belong to one id: made, and removed whatever a container has put into them.
namespace wherry::container {

// mkdir -p; only the last component, if it is new, has `mode` (exactly), missing parents are 0700. OK when it exists.
absl::Status MakeDirectories(const std::string& path, mode_t mode);

// Removes a file or a whole tree without following a symlink or crossing into another place by a race. Needs a fixed
// number of descriptors and no recursion, because a container may have nested directories deeper than any limit.
// OK when there is nothing.
absl::Status RemoveTree(const std::string& path);

}  // namespace wherry::container
