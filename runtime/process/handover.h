#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "runtime/rootfs/pty.h"
#include "runtime/security/user.h"
#include "runtime/sys/unique_fd.h"

// How the tree gets from the helper that assembled it to the container's init, when they are in different user namespaces: by
// descriptors over a socket.
namespace wherry::process {

struct Tree {
  sys::UniqueFd mounts;            // a mount namespace, with the container's root as its root
  std::optional<rootfs::Pty> pty;  // with process.tty
  security::ResolvedUser user;
};

// A connected pair.
struct Handover {
  sys::UniqueFd from, to;
  static absl::StatusOr<Handover> Make();
};

absl::Status SendTree(int socket, const Tree& tree);

// Waits for it. Aborted when the other end was closed without sending one.
absl::StatusOr<Tree> ReceiveTree(int socket);

}  // namespace wherry::process
