#pragma once

#include "absl/status/status.h"

namespace wherry::image {

// Shuts wherry-pull in, once, before it reads the first foreign byte. Afterwards the process sees no file but those below `staging`
// and what else it has open, and `staging` is then a descriptor of its own view of that directory; has no network, cannot start programs, and keeps only the capabilities that writing a layer takes. To be
// called while the process has one thread: capabilities and filters are a thread's own.
absl::Status EnterSandbox(int staging);

// The same for a process that only reads what is below `store`: nothing there can be written, made, renamed or removed.
absl::Status EnterReadSandbox(int store);

// The same for the process that talks to registries: no privilege at all (it becomes "nobody"), but the network and the files that
// everybody may read. It ends with the process that forked it.
absl::Status EnterFetchSandbox();

}  // namespace wherry::image
