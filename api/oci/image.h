#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The OCI image documents (image-spec 1.1) as plain structs. Docker's schema 2 documents have the same shape under other
// media types and are read by the same functions. Unknown members are ignored, as the specification demands; sizes, depths
// and required members are checked here, once.
namespace wherry::oci {

// The part of an image's configuration that decides how a container runs.
struct ImageConfig {
  std::string architecture, os, variant;
  std::string user;              // "name", "uid", "uid:gid" … or empty
  std::vector<std::string> env;  // NAME=value
  std::vector<std::string> entrypoint, cmd;
  std::string working_dir;
  std::string stop_signal;           // "SIGTERM", "15" or empty
  std::vector<std::string> volumes;  // container paths
  std::map<std::string, std::string> labels;
  std::vector<std::string> diff_ids;  // lowest layer first
};

inline constexpr size_t kMaxConfigBytes = 8 << 20;

// Reads an image configuration. InvalidArgument when it is malformed or beyond its bounds, when a diff_id is no digest, or
// when rootfs.type is not "layers".
absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view text);

}  // namespace wherry::oci
