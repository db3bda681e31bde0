#pragma once

#include <functional>

#include "absl/status/status.h"
#include "cri/image/records.pb.h"

// A layer's directory as a sequence of nodes: each directory before what is in it, names in byte order. The index is written from
// one such walk and compared with another.
namespace wherry::image {

// With `xattrs` those attributes are read that images may set, and overlayfs's. `node` has no checksum.
absl::Status WalkLayer(int root, bool xattrs, const std::function<absl::Status(const pb::IndexNode& node)>& take);

// The order in which a walk comes to two paths: as strings in which the slash is the least character.
bool WalksBefore(const std::string& a, const std::string& b);

}  // namespace wherry::image
