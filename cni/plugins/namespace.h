#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cni/netlink/socket.h"
#include "runtime/sys/unique_fd.h"

// Network namespaces by path. Most of the work needs no visit to the container's namespace, since veth ends are born there
// and netlink sockets remember where they were opened; a visit is for opening that socket and for /proc/sys, which shows
// the namespace of whoever looks.
namespace wherry::plugins {

// The namespace we are in and the container's.
class Namespaces {
 public:
  // InvalidEnvironment (4) when there is no network namespace at `path`, or the one we are in.
  static absl::StatusOr<Namespaces> Open(const std::string& path);
  // None when `path` is empty, has nothing, or has a file that holds no namespace any more: for DEL.
  static absl::StatusOr<std::optional<Namespaces>> OpenIfPresent(const std::string& path);

  int home() const { return home_.get(); }
  int container() const { return container_.get(); }
  // Runs `visit` in the container's namespace and comes back. A failure to come back is returned too.
  absl::Status Visit(const std::function<absl::Status()>& visit) const;
  // A socket that stays in the container's namespace.
  absl::StatusOr<netlink::Socket> OpenSocket() const;

 private:
  Namespaces(sys::UniqueFd home, sys::UniqueFd container) : home_(std::move(home)), container_(std::move(container)) {}
  sys::UniqueFd home_, container_;
};

}  // namespace wherry::plugins
