#pragma once

#include <sys/types.h>

#include "absl/status/status.h"
#include "cri/image/records.pb.h"
#include "runtime/sys/unique_fd.h"

// The fetching half of wherry-pull: it has the network and the credentials, and no privilege; it parses HTTP, TLS and token answers,
// and hands every byte of the image on unread.
namespace wherry::image {

// Serves requests from `socket` until its peer has gone; each in a thread of its own. To be called in the process that has been
// forked for it by `parent`, as root: it reads hosts.toml and the certificates first, then gives its privileges up.
absl::Status RunFetcher(const pb::PullRequest& request, sys::UniqueFd socket, pid_t parent);

}  // namespace wherry::image
