#pragma once

#include <string>

#include "absl/status/status.h"

namespace wherry::image {

// Removes `name` in `dir` with all below it; OK when absent. Never follows a symbolic link and never leaves the tree: each
// directory is opened from its parent's descriptor. (Clean-up is relative to descriptors too: CVE-2025-0750.)
absl::Status RemoveTree(int dir, const std::string& name);

// Removes all that is in the directory `dir`, not the directory itself.
absl::Status RemoveContents(int dir);

}  // namespace wherry::image
