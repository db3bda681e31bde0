#pragma once

#include "absl/status/status.h"
#include "cri/image/records.pb.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::image {

// The unpacking half of one pull: asks the fetching half for the documents and layers of `request`'s reference, verifies and unpacks
// them into `staging`, and holds the conversation of records.proto over `control`. Credentials are not for it. Returns what ended it;
// wherryd has been told.
absl::Status RunPull(int control, const pb::PullRequest& request, sys::UniqueFd fetcher, sys::UniqueFd staging);

}  // namespace wherry::image
