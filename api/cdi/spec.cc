#include "api/cdi/spec.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/cdi/document.h"
#include "api/oci/json.h"
#include "api/oci/status_macros.h"

namespace wherry::cdi {
namespace {

using Json = nlohmann::json;

constexpr absl::string_view kVersions[] = {"0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"};
constexpr absl::string_view kHooks[] = {"prestart",       "createRuntime", "createContainer",
                                        "startContainer", "poststart",     "poststop"};

absl::Status Wrong(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

// An object that is read by naming its members; what has not been named at the end is unknown.
class Object {
 public:
  static absl::StatusOr<Object> From(const Json& value, const std::string& where) {
    if (!value.is_object()) return Wrong(where, "no object");
    return Object(value, where);
  }

  const Json* Take(const char* key) {
    taken_.insert(key);
    auto it = value_->find(key);
    return it == value_->end() || it->is_null() ? nullptr : &*it;
  }
  std::string Where(absl::string_view key) const { return absl::StrCat(where_, ".", key); }

  absl::Status String(const char* key, std::string& out) {
    const Json* value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    if (!value->is_string()) return Wrong(Where(key), "no string");
    out = value->get<std::string>();
    return out.find('\0') == std::string::npos ? absl::OkStatus() : Wrong(Where(key), "has a NUL");
  }

  absl::Status Strings(const char* key, std::vector<std::string>& out) {
    const Json* value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    if (!value->is_array()) return Wrong(Where(key), "no list");
    for (const Json& item : *value) {
      if (!item.is_string()) return Wrong(Where(key), "has an item that is no string");
      out.push_back(item.get<std::string>());
      if (out.back().find('\0') != std::string::npos) return Wrong(Where(key), "has a NUL");
    }
    return absl::OkStatus();
  }

  absl::Status Number(const char* key, int64_t max, std::optional<int64_t>& out) {
    const Json* value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    if (!value->is_number_integer() || *value < 0 || *value > max)
      return Wrong(Where(key), absl::StrCat("no number from 0 to ", max));
    out = value->get<int64_t>();
    return absl::OkStatus();
  }

  absl::Status Id(const char* key, std::optional<uint32_t>& out) {
    std::optional<int64_t> number;
    OCI_RETURN_IF_ERROR(Number(key, std::numeric_limits<uint32_t>::max() - 1, number));
    if (number) out = static_cast<uint32_t>(*number);
    return absl::OkStatus();
  }

  // Calls `read` with each object of the list.
  template <typename Read>
  absl::Status Each(const char* key, Read read) {
    const Json* value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    if (!value->is_array()) return Wrong(Where(key), "no list");
    for (size_t i = 0; i < value->size(); ++i) {
      OCI_ASSIGN_OR_RETURN(Object item, From((*value)[i], absl::StrCat(Where(key), "[", i, "]")));
      OCI_RETURN_IF_ERROR(read(item));
      OCI_RETURN_IF_ERROR(item.Finish());
    }
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    for (const auto& [key, value] : value_->items())
      if (taken_.count(key) == 0) return Wrong(Where(key), "unknown");
    return absl::OkStatus();
  }

 private:
  Object(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const Json* value_;
  std::string where_;
  std::set<std::string> taken_;
};

bool IsName(absl::string_view text, absl::string_view inside) {
  if (text.empty() || text.size() > 253 || !absl::ascii_isalnum(text.front()) || !absl::ascii_isalnum(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return absl::ascii_isalnum(c) || inside.find(c) != absl::string_view::npos; });
}

bool IsKind(absl::string_view kind) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(kind, absl::MaxSplits('/', 1));
  return IsName(parts.first, "_-.") && absl::ascii_isalpha(parts.first[0]) && IsName(parts.second, "_-.") &&
         absl::ascii_isalpha(parts.second[0]);
}

bool IsDeviceName(absl::string_view name) { return IsName(name, "_-.:"); }

absl::Status Required(const Object& object, const char* key, const std::string& value) {
  return value.empty() ? Wrong(object.Where(key), "missing") : absl::OkStatus();
}

absl::Status ReadDeviceNode(Object& from, DeviceNode& node) {
  OCI_RETURN_IF_ERROR(from.String("path", node.path));
  OCI_RETURN_IF_ERROR(Required(from, "path", node.path));
  OCI_RETURN_IF_ERROR(from.String("hostPath", node.host_path));
  std::string type;
  OCI_RETURN_IF_ERROR(from.String("type", type));
  if (type.size() > 1 || (!type.empty() && !absl::StrContains("bcup", type)))
    return Wrong(from.Where("type"), "none of b, c, u and p");
  if (!type.empty()) node.type = type == "u" ? 'c' : type[0];  // u: a character device without a buffer
  std::optional<int64_t> major, minor, mode;
  OCI_RETURN_IF_ERROR(from.Number("major", std::numeric_limits<uint32_t>::max(), major));
  OCI_RETURN_IF_ERROR(from.Number("minor", std::numeric_limits<uint32_t>::max(), minor));
  OCI_RETURN_IF_ERROR(from.Number("fileMode", std::numeric_limits<uint32_t>::max(), mode));
  node.major = major.value_or(0);
  node.minor = minor.value_or(0);
  if (mode) node.mode = static_cast<uint32_t>(*mode) & 07777;
  OCI_RETURN_IF_ERROR(from.Id("uid", node.uid));
  OCI_RETURN_IF_ERROR(from.Id("gid", node.gid));
  OCI_RETURN_IF_ERROR(from.String("permissions", node.permissions));
  if (node.permissions != "none" && node.permissions.find_first_not_of("rwm") != std::string::npos)
    return Wrong(from.Where("permissions"), "not of rwm");
  return absl::OkStatus();
}

absl::Status ReadMount(Object& from, Mount& mount) {
  OCI_RETURN_IF_ERROR(from.String("hostPath", mount.host_path));
  OCI_RETURN_IF_ERROR(Required(from, "hostPath", mount.host_path));
  OCI_RETURN_IF_ERROR(from.String("containerPath", mount.container_path));
  OCI_RETURN_IF_ERROR(Required(from, "containerPath", mount.container_path));
  OCI_RETURN_IF_ERROR(from.String("type", mount.type));
  return from.Strings("options", mount.options);
}

absl::Status ReadHook(Object& from, Hook& hook) {
  OCI_RETURN_IF_ERROR(from.String("hookName", hook.name));
  OCI_RETURN_IF_ERROR(from.String("path", hook.path));
  OCI_RETURN_IF_ERROR(Required(from, "path", hook.path));
  if (hook.path[0] != '/') return Wrong(from.Where("path"), absl::StrCat("\"", hook.path, "\" is not absolute"));
  OCI_RETURN_IF_ERROR(from.Strings("args", hook.args));
  OCI_RETURN_IF_ERROR(from.Strings("env", hook.env));
  if (const Json* timeout = from.Take("timeout")) {
    if (!timeout->is_number_integer() || *timeout < 1 || *timeout > 86400)
      return Wrong(from.Where("timeout"), "is no number of seconds");
    hook.timeout_s = timeout->get<uint32_t>();
  }
  if (std::find(std::begin(kHooks), std::end(kHooks), hook.name) == std::end(kHooks))
    return Wrong(from.Where("hookName"), absl::StrCat("\"", hook.name, "\" is no hook"));
  return absl::OkStatus();
}

absl::Status ReadLists(Object& from, Edits& edits) {
  OCI_RETURN_IF_ERROR(
      from.Each("deviceNodes", [&](Object& item) { return ReadDeviceNode(item, edits.device_nodes.emplace_back()); }));
  OCI_RETURN_IF_ERROR(from.Each("mounts", [&](Object& item) { return ReadMount(item, edits.mounts.emplace_back()); }));
  return from.Each("hooks", [&](Object& item) { return ReadHook(item, edits.hooks.emplace_back()); });
}

absl::Status ReadGids(Object& from, std::vector<uint32_t>& gids) {
  const Json* list = from.Take("additionalGids");
  if (list == nullptr) return absl::OkStatus();
  if (!list->is_array()) return Wrong(from.Where("additionalGids"), "no list");
  for (const Json& gid : *list) {
    if (!gid.is_number_integer() || gid < 0 || gid >= std::numeric_limits<uint32_t>::max())
      return Wrong(from.Where("additionalGids"), "has an item that is no group");
    if (gid != 0) gids.push_back(gid.get<uint32_t>());  // 0 is what a program wrote that meant none
  }
  return absl::OkStatus();
}

absl::Status ReadEdits(Object& parent, Edits& edits) {
  const Json* value = parent.Take("containerEdits");
  if (value == nullptr) return absl::OkStatus();
  OCI_ASSIGN_OR_RETURN(Object from, Object::From(*value, parent.Where("containerEdits")));
  OCI_RETURN_IF_ERROR(from.Strings("env", edits.env));
  for (const std::string& variable : edits.env)
    if (variable.find('=') == 0 || variable.find('=') == std::string::npos)
      return Wrong(from.Where("env"), absl::StrCat("\"", variable, "\" is no NAME=value"));
  OCI_RETURN_IF_ERROR(ReadLists(from, edits));
  OCI_RETURN_IF_ERROR(ReadGids(from, edits.additional_gids));
  edits.intel_rdt = from.Take("intelRdt") != nullptr;
  const Json* interfaces = from.Take("netDevices");
  edits.net_devices = interfaces != nullptr && !interfaces->empty();
  return from.Finish();
}

absl::Status ReadDevice(Object& from, Device& device) {
  OCI_RETURN_IF_ERROR(from.String("name", device.name));
  if (!IsDeviceName(device.name)) return Wrong(from.Where("name"), absl::StrCat("\"", device.name, "\" is no name"));
  from.Take("annotations");
  return ReadEdits(from, device.edits);
}

absl::StatusOr<Spec> Read(const Json& document) {
  OCI_ASSIGN_OR_RETURN(Object from, Object::From(document, "specification"));
  std::string version;
  OCI_RETURN_IF_ERROR(from.String("cdiVersion", version));
  if (std::find(std::begin(kVersions), std::end(kVersions), version) == std::end(kVersions))
    return Wrong("specification.cdiVersion", absl::StrCat("\"", version, "\" is no known version"));
  Spec spec;
  OCI_RETURN_IF_ERROR(from.String("kind", spec.kind));
  if (!IsKind(spec.kind)) return Wrong("specification.kind", absl::StrCat("\"", spec.kind, "\" is no vendor/class"));
  from.Take("annotations");
  OCI_RETURN_IF_ERROR(ReadEdits(from, spec.edits));
  std::set<std::string> names;
  const auto read = [&](Object& item) {
    absl::Status status = ReadDevice(item, spec.devices.emplace_back());
    const std::string& name = spec.devices.back().name;
    if (status.ok() && !names.insert(name).second)
      status = Wrong(item.Where("name"), absl::StrCat("\"", name, "\" comes twice"));
    return status;
  };
  OCI_RETURN_IF_ERROR(from.Each("devices", read));
  if (spec.devices.empty()) return Wrong("specification.devices", "missing");
  OCI_RETURN_IF_ERROR(from.Finish());
  return spec;
}

}  // namespace

absl::StatusOr<Spec> ParseJson(absl::string_view text) {
  OCI_ASSIGN_OR_RETURN(Json document, oci::json::Parse(text, kMaxSpecBytes));
  return Read(document);
}

absl::StatusOr<Spec> ParseYaml(absl::string_view text) {
  OCI_ASSIGN_OR_RETURN(Json document, ParseYamlDocument(text, kMaxSpecBytes));
  return Read(document);
}

absl::StatusOr<QualifiedName> ParseQualifiedName(absl::string_view name) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(name, absl::MaxSplits('=', 1));
  if (!IsKind(parts.first) || !IsDeviceName(parts.second))
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no CDI device (vendor.com/class=name)"));
  return QualifiedName{std::string(parts.first), std::string(parts.second)};
}

}  // namespace wherry::cdi
