#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Names of images, normalised as Docker does since people type them that way: "busybox" is
// "docker.io/library/busybox:latest", "quay.io/a/b" has a registry because its first part has a dot. Grammar:
// github.com/distribution/reference; https://github.com/opencontainers/distribution-spec "Pulling manifests".
namespace wherry::image {

struct Reference {
  std::string domain;  // "docker.io", "localhost:5000", "[::1]:5000"
  std::string path;    // "library/busybox"
  std::string tag;     // empty when only a digest is given
  std::string digest;  // "sha256:…" or empty

  std::string Repository() const { return domain + "/" + path; }
  std::string Tagged() const { return Repository() + ":" + tag; }
  std::string Digested() const { return Repository() + "@" + digest; }
};

// InvalidArgument says what is wrong. A reference without tag and digest gets the tag "latest".
absl::StatusOr<Reference> ParseReference(absl::string_view text);

}  // namespace wherry::image
