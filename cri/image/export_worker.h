#pragma once

#include "absl/status/status.h"
#include "runtime/sys/unique_fd.h"

// What wherry-pull does with layers that are there already. `control` is the socket to wherryd, `store` the image store's directory.
namespace wherry::image {

// Answers a CheckRequest with Checked.
absl::Status RunCheck(int control, sys::UniqueFd store);

// Writes the image of an ExportRequest as an OCI archive to `pipe`, and says Done. The archive of one image is always the same bytes.
absl::Status RunExport(int control, sys::UniqueFd pipe, sys::UniqueFd store);

}  // namespace wherry::image
