#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

// The images that the administrator wants to stay: the kubelet's garbage collection passes over what is marked as pinned. A mark is
// all it is; who asks for the removal of a pinned image by name gets it, as with containerd (issue 9793 there).
namespace wherry::image {

class PinnedNames {
 public:
  PinnedNames() = default;
  // Each is a reference ("busybox" is docker.io/library/busybox:latest), an image id ("sha256:…"), or a pattern for glob(7) over the
  // whole normalised reference, in which "*" stands for slashes too. InvalidArgument names one that is neither.
  static absl::StatusOr<PinnedNames> Parse(const std::vector<std::string>& patterns);

  // `name` is normalised.
  bool Match(const std::string& name) const;

 private:
  std::vector<std::string> patterns_;
};

}  // namespace wherry::image
