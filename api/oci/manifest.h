#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Manifests and indexes of image-spec 1.1, and the manifest.json of a docker-save archive. Docker's schema 2 manifest and
// manifest list are the same documents under other media types. A document that could be read as both a manifest and an index
// is refused: two readers could see two different images under one digest (CVE-2021-41190).
namespace wherry::oci {

inline constexpr size_t kMaxManifestBytes = 8 << 20;
inline constexpr size_t kMaxLayers = 512;
inline constexpr size_t kMaxIndexEntries = 1024;

struct Platform {
  std::string architecture, os, variant;
};

struct Descriptor {
  std::string media_type;  // may be empty
  std::string digest;      // checked
  uint64_t size = 0;
  std::map<std::string, std::string> annotations;
  bool has_platform = false;
  Platform platform;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor>
      layers;  // lowest first; every one of a media type that is known to be a plain, gzip or zstd layer
};

struct Index {
  std::vector<Descriptor> manifests;
};

// One entry of a docker-save archive's manifest.json; the strings are names of files in the archive.
struct DockerSaveImage {
  std::string config;
  std::vector<std::string> repo_tags;
  std::vector<std::string> layers;  // lowest first
};

// A manifest or an index, told apart by content. `expected_media_type` is the descriptor's that led here ("" for none): one that
// the document contradicts is InvalidArgument. Schema 1, artifacts, foreign and encrypted layers are refused with their name.
absl::StatusOr<std::variant<Manifest, Index>> ParseManifestOrIndex(absl::string_view text,
                                                                   absl::string_view expected_media_type);

// The media type of a manifest or index: the one it gives itself, else the specification's for what it is.
absl::StatusOr<std::string> MediaTypeOf(absl::string_view text);

absl::StatusOr<std::vector<DockerSaveImage>> ParseDockerSaveManifest(absl::string_view text);

}  // namespace wherry::oci
