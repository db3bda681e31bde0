#include "api/oci/image.h"

#include "api/oci/digest.h"
#include "api/oci/json.h"
#include "api/oci/manifest.h"
#include "api/oci/status_macros.h"

namespace wherry::oci {
namespace {

constexpr size_t kMaxListItems = 4096;

bool HasNul(const std::string& s) { return s.find('\0') != std::string::npos; }

// Everything here ends up in execve(2), in a path or in a label: no list without an end, no string with a NUL inside, which
// the kernel would read as its end.
absl::Status CheckStrings(const std::vector<std::string>& list, absl::string_view what) {
  if (list.size() > kMaxListItems)
    return absl::InvalidArgumentError(absl::StrCat(what, " has ", list.size(), " entries"));
  for (const std::string& s : list)
    if (HasNul(s)) return absl::InvalidArgumentError(absl::StrCat(what, " has an entry with a NUL byte"));
  return absl::OkStatus();
}

// {"/data": {}, "/var/lib/x": {}}: Go's way to write a set.
absl::Status GetSet(const json::Value& from, const char* key, std::vector<std::string>& out) {
  const json::Value* v = json::Find(from, key);
  if (v == nullptr) return absl::OkStatus();
  if (!v->is_object()) return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is not an object"));
  for (auto it = v->begin(); it != v->end(); ++it) out.push_back(it.key());
  return absl::OkStatus();
}

absl::Status ParseRunConfig(const json::Value& from, ImageConfig& out) {
  OCI_RETURN_IF_ERROR(json::Get(from, "User", out.user));
  OCI_RETURN_IF_ERROR(json::Get(from, "Env", out.env));
  OCI_RETURN_IF_ERROR(json::Get(from, "Entrypoint", out.entrypoint));
  OCI_RETURN_IF_ERROR(json::Get(from, "Cmd", out.cmd));
  OCI_RETURN_IF_ERROR(json::Get(from, "WorkingDir", out.working_dir));
  OCI_RETURN_IF_ERROR(json::Get(from, "StopSignal", out.stop_signal));
  OCI_RETURN_IF_ERROR(json::Get(from, "Labels", out.labels));
  OCI_RETURN_IF_ERROR(GetSet(from, "Volumes", out.volumes));
  OCI_RETURN_IF_ERROR(CheckStrings(out.env, "Env"));
  OCI_RETURN_IF_ERROR(CheckStrings(out.entrypoint, "Entrypoint"));
  OCI_RETURN_IF_ERROR(CheckStrings(out.cmd, "Cmd"));
  OCI_RETURN_IF_ERROR(CheckStrings(out.volumes, "Volumes"));
  return CheckStrings({out.user, out.working_dir, out.stop_signal}, "User, WorkingDir or StopSignal");
}

}  // namespace

absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view text) {
  OCI_ASSIGN_OR_RETURN(json::Value doc, json::Parse(text, kMaxConfigBytes));
  if (!doc.is_object()) return absl::InvalidArgumentError("the image configuration is not an object");
  ImageConfig out;
  OCI_RETURN_IF_ERROR(json::Get(doc, "architecture", out.architecture));
  OCI_RETURN_IF_ERROR(json::Get(doc, "os", out.os));
  OCI_RETURN_IF_ERROR(json::Get(doc, "variant", out.variant));
  if (const json::Value* config = json::Find(doc, "config")) {
    if (!config->is_object()) return absl::InvalidArgumentError("\"config\" is not an object");
    OCI_RETURN_IF_ERROR(ParseRunConfig(*config, out));
  }
  const json::Value* rootfs = json::Find(doc, "rootfs");
  if (rootfs == nullptr) return absl::InvalidArgumentError("the image configuration has no \"rootfs\"");
  std::string type;
  OCI_RETURN_IF_ERROR(json::Get(*rootfs, "type", type));
  if (type != "layers")
    return absl::InvalidArgumentError(absl::StrCat("\"rootfs.type\" is \"", type, "\", not \"layers\""));
  OCI_RETURN_IF_ERROR(json::Get(*rootfs, "diff_ids", out.diff_ids));
  if (out.diff_ids.size() > kMaxLayers)
    return absl::InvalidArgumentError(absl::StrCat("the image has ", out.diff_ids.size(), " layers"));
  for (const std::string& id : out.diff_ids) OCI_RETURN_IF_ERROR(Within("\"rootfs.diff_ids\"", CheckDigest(id)));
  return out;
}

}  // namespace wherry::oci
