#include "api/oci/manifest.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/oci/digest.h"
#include "api/oci/json.h"
#include "api/oci/status_macros.h"

namespace wherry::oci {
namespace {

constexpr absl::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr absl::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr absl::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
constexpr absl::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr absl::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr absl::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";

constexpr std::array<absl::string_view, 6> kLayerTypes = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
};

bool IsIndexType(absl::string_view type) { return type == kOciIndex || type == kDockerList; }
bool IsManifestType(absl::string_view type) { return type == kOciManifest || type == kDockerManifest; }

absl::StatusOr<Descriptor> ParseDescriptor(const json::Value& v) {
  if (!v.is_object()) return absl::InvalidArgumentError("a descriptor is not an object");
  Descriptor d;
  OCI_RETURN_IF_ERROR(json::Get(v, "mediaType", d.media_type));
  OCI_RETURN_IF_ERROR(json::Get(v, "digest", d.digest));
  OCI_RETURN_IF_ERROR(CheckDigest(d.digest));
  OCI_RETURN_IF_ERROR(json::Get(v, "size", d.size));
  OCI_RETURN_IF_ERROR(json::Get(v, "annotations", d.annotations));
  if (d.size > INT64_MAX)
    return absl::InvalidArgumentError(absl::StrCat("the size of ", d.digest, " is absurd: ", d.size));
  if (const json::Value* p = json::Find(v, "platform")) {
    d.has_platform = true;
    OCI_RETURN_IF_ERROR(json::Get(*p, "architecture", d.platform.architecture));
    OCI_RETURN_IF_ERROR(json::Get(*p, "os", d.platform.os));
    OCI_RETURN_IF_ERROR(json::Get(*p, "variant", d.platform.variant));
  }
  return d;
}

absl::StatusOr<std::vector<Descriptor>> ParseDescriptors(const json::Value& doc, const char* key, size_t max) {
  std::vector<Descriptor> out;
  const json::Value* list = json::Find(doc, key);
  if (list == nullptr) return out;
  if (!list->is_array()) return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is not a list"));
  if (list->size() > max)
    return absl::InvalidArgumentError(
        absl::StrCat("\"", key, "\" has ", list->size(), " entries; at most ", max, " are read"));
  for (const json::Value& item : *list) {
    OCI_ASSIGN_OR_RETURN_CTX(Descriptor d, ParseDescriptor(item), absl::StrCat("\"", key, "\""));
    out.push_back(std::move(d));
  }
  return out;
}

absl::Status CheckLayerType(const Descriptor& layer) {
  const absl::string_view type = layer.media_type;
  if (std::find(kLayerTypes.begin(), kLayerTypes.end(), type) != kLayerTypes.end()) return absl::OkStatus();
  if (absl::StrContains(type, ".nondistributable.") || absl::StrContains(type, ".foreign."))
    return absl::UnimplementedError(absl::StrCat("layer ", layer.digest,
                                                 " is a foreign layer, kept by somebody else (\"", type,
                                                 "\"): such images are not taken"));
  if (absl::EndsWith(type, "+encrypted"))
    return absl::UnimplementedError(absl::StrCat("layer ", layer.digest, " is encrypted (\"", type, "\")"));
  return absl::InvalidArgumentError(absl::StrCat("layer ", layer.digest, " has the unknown media type \"", type, "\""));
}

absl::StatusOr<Manifest> ParseManifest(const json::Value& doc) {
  Manifest m;
  const json::Value* config = json::Find(doc, "config");
  if (config == nullptr) return absl::InvalidArgumentError("the manifest names no config");
  OCI_ASSIGN_OR_RETURN_CTX(m.config, ParseDescriptor(*config), "\"config\"");
  if (!m.config.media_type.empty() && m.config.media_type != kOciConfig && m.config.media_type != kDockerConfig)
    return absl::InvalidArgumentError(
        absl::StrCat("this is an artifact of type \"", m.config.media_type, "\", not a container image"));
  OCI_ASSIGN_OR_RETURN(m.layers, ParseDescriptors(doc, "layers", kMaxLayers));
  for (const Descriptor& layer : m.layers) OCI_RETURN_IF_ERROR(CheckLayerType(layer));
  return m;
}

// The kind a document says it is, once its own mediaType, the descriptor's and its members agree.
absl::StatusOr<bool> SaysIndex(const json::Value& doc, absl::string_view expected) {
  std::string type;
  OCI_RETURN_IF_ERROR(json::Get(doc, "mediaType", type));
  if (!type.empty() && !expected.empty() && type != expected)
    return absl::InvalidArgumentError(
        absl::StrCat("the document calls itself \"", type, "\", its descriptor \"", expected, "\""));
  if (type.empty()) type = std::string(expected);
  const bool has_index = doc.contains("manifests");
  const bool has_manifest = doc.contains("layers") || doc.contains("config");
  if (has_index && has_manifest)
    return absl::InvalidArgumentError("the document has members of both a manifest and an index (CVE-2021-41190)");
  if (doc.contains("fsLayers")) return absl::UnimplementedError("Docker's schema 1 manifests are not read");
  if (!type.empty() && !IsIndexType(type) && !IsManifestType(type))
    return absl::InvalidArgumentError(absl::StrCat("unknown media type \"", type, "\" of a manifest"));
  if ((has_index && IsManifestType(type)) || (has_manifest && IsIndexType(type)))
    return absl::InvalidArgumentError(absl::StrCat("the document's members contradict its type \"", type, "\""));
  if (!has_index && !has_manifest) return absl::InvalidArgumentError("the document is neither a manifest nor an index");
  return has_index;
}

}  // namespace

absl::StatusOr<std::variant<Manifest, Index>> ParseManifestOrIndex(absl::string_view text,
                                                                   absl::string_view expected_media_type) {
  OCI_ASSIGN_OR_RETURN(json::Value doc, json::Parse(text, kMaxManifestBytes));
  if (!doc.is_object()) return absl::InvalidArgumentError("the document is not an object");
  uint64_t schema = 0;
  OCI_RETURN_IF_ERROR(json::Get(doc, "schemaVersion", schema));
  if (schema == 1) return absl::UnimplementedError("Docker's schema 1 manifests are not read");
  if (schema != 2) return absl::InvalidArgumentError("\"schemaVersion\" is not 2");
  OCI_ASSIGN_OR_RETURN(bool is_index, SaysIndex(doc, expected_media_type));
  if (!is_index) {
    OCI_ASSIGN_OR_RETURN(Manifest m, ParseManifest(doc));
    return std::variant<Manifest, Index>(std::move(m));
  }
  Index index;
  OCI_ASSIGN_OR_RETURN(index.manifests, ParseDescriptors(doc, "manifests", kMaxIndexEntries));
  return std::variant<Manifest, Index>(std::move(index));
}

absl::StatusOr<std::string> MediaTypeOf(absl::string_view text) {
  OCI_ASSIGN_OR_RETURN(json::Value doc, json::Parse(text, kMaxManifestBytes));
  if (!doc.is_object()) return absl::InvalidArgumentError("the document is not an object");
  OCI_ASSIGN_OR_RETURN(bool is_index, SaysIndex(doc, ""));
  std::string type;
  OCI_RETURN_IF_ERROR(json::Get(doc, "mediaType", type));
  return type.empty() ? std::string(is_index ? kOciIndex : kOciManifest) : type;
}

absl::StatusOr<std::vector<DockerSaveImage>> ParseDockerSaveManifest(absl::string_view text) {
  OCI_ASSIGN_OR_RETURN(json::Value doc, json::Parse(text, kMaxManifestBytes));
  if (!doc.is_array()) return absl::InvalidArgumentError("manifest.json is not a list");
  if (doc.size() > kMaxIndexEntries)
    return absl::InvalidArgumentError(absl::StrCat("manifest.json has ", doc.size(), " entries"));
  std::vector<DockerSaveImage> out;
  for (const json::Value& item : doc) {
    DockerSaveImage image;
    OCI_RETURN_IF_ERROR(json::Get(item, "Config", image.config));
    OCI_RETURN_IF_ERROR(json::Get(item, "RepoTags", image.repo_tags));
    OCI_RETURN_IF_ERROR(json::Get(item, "Layers", image.layers));
    if (image.config.empty()) return absl::InvalidArgumentError("manifest.json names no Config");
    if (image.layers.size() > kMaxLayers)
      return absl::InvalidArgumentError(absl::StrCat("manifest.json names ", image.layers.size(), " layers"));
    out.push_back(std::move(image));
  }
  return out;
}

}  // namespace wherry::oci
