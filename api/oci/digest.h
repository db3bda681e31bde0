#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Content digests as the image specification writes them: "algorithm:hex". Only sha256 is accepted, spelled in full and
// in lower case. A digest becomes a file name in the store, so nothing is ever called one without this check
// (CVE-2024-3727: digests taken unchecked from manifests into paths).
namespace wherry::oci {

// InvalidArgument unless `text` is "sha256:" and 64 lower-case hex digits.
absl::Status CheckDigest(absl::string_view text);

// The 64 digits of a checked digest.
inline absl::string_view DigestHex(absl::string_view digest) { return digest.substr(7); }

}  // namespace wherry::oci
