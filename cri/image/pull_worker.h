#pragma once

#include <string>

#include "absl/status/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::image {

// The unpacking half of one pull: asks the fetching half for the documents and layers of `reference`, verifies and unpacks them
// into `staging`, and holds the conversation of records.proto over `control`. Returns what ended it; wherryd has been told.
absl::Status RunPull(int control, const std::string& reference, sys::UniqueFd fetcher, sys::UniqueFd staging);

}  // namespace wherry::image
