#pragma once

#include "absl/status/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::image {

// wherry-pull's side of an import: plan, ask, unpack the missing layers in parallel into <staging>/<LayerDirName>, one syncfs(2).
// The outcome goes to `control` as Done or Failure; the returned status says whether it could be sent.
absl::Status RunImport(int control, sys::UniqueFd archive, sys::UniqueFd staging);

}  // namespace wherry::image
