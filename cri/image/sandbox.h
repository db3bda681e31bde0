#pragma once

#include "absl/status/status.h"

namespace wherry::image {

// Shuts wherry-pull in, once, before it reads the first foreign byte. Afterwards the process sees no file but those below `staging`
// and what it has open; has no network, cannot start programs, and keeps only the capabilities that writing a layer takes. To be
// called while the process has one thread: capabilities and filters are a thread's own.
absl::Status EnterSandbox(int staging);

}  // namespace wherry::image
