#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

// Programs that a device's vendor wants run while a container comes to be. They were named by files that only the host's root can
// write, and are still kept from what a container's image or request says: their environment is their own and never the container's
// (an LD_PRELOAD from an image made its library the host's root, CVE-2025-23266), and they do not start in the container's tree.
namespace wherry::process {

class Hooks {
 public:
  // `procfs` is the host's. The caller is the container's init and outlives this object, as `hooks` does.
  static absl::StatusOr<Hooks> Prepare(const shim::v1::Hooks& hooks, const sys::UniqueFd& procfs);

  // Runs those of `stage` one after the other, each to its end. FailedPrecondition names the first that failed, with what it wrote;
  // DeadlineExceeded one that was killed at its time-out, with its process group.
  absl::Status Run(shim::v1::Hook::Stage stage) const;

 private:
  Hooks(const shim::v1::Hooks& hooks, int pid) : hooks_(&hooks), pid_(pid) {}

  const shim::v1::Hooks* hooks_;
  int pid_;  // of the init, as the host sees it
};

}  // namespace wherry::process
