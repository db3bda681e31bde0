#include "api/cni/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "api/cni/version.h"

namespace wherry::cni {
namespace {

absl::Status Invalid(absl::string_view text) { return MakeError(ErrorCode::kInvalidConfig, text); }

// The newest version that both the document and we know.
absl::Status SelectVersion(const std::string& single, const std::vector<std::string>& several, std::string* out) {
  for (const char* version : kVersions) {
    const bool listed = std::find(several.begin(), several.end(), version) != several.end();
    if (listed || single == version) *out = version;
  }
  if (!out->empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kIncompatibleVersion,
                   absl::StrCat("cniVersion \"", single, "\" is not supported (0.3.0 to ", kNewestVersion, " are)"));
}

// true and false, also as strings: earlier documents have them so, and libcni reads both.
absl::Status ReadSwitch(const nlohmann::json& document, const char* key, bool* out) {
  Fields fields(document, "");
  const auto found = document.find(key);
  if (found == document.end() || !found->is_string()) {
    fields.Bool(key, out);
    return fields.status();
  }
  const std::string text = absl::AsciiStrToLower(found->get_ref<const std::string&>());
  if (text != "true" && text != "false") return Invalid(absl::StrCat(key, ": not true or false"));
  *out = text == "true";
  return absl::OkStatus();
}

absl::Status ReadHead(const nlohmann::json& document, ConfigList* out) {
  std::string version;
  std::vector<std::string> versions;
  Fields fields(document, "");
  fields.String("cniVersion", &version);
  fields.Strings("cniVersions", &versions);
  fields.String("name", &out->name);
  if (!fields.status().ok()) return fields.status();
  if (absl::Status status = ReadSwitch(document, "disableCheck", &out->disable_check); !status.ok()) return status;
  if (absl::Status status = ReadSwitch(document, "disableGC", &out->disable_gc); !status.ok()) return status;
  if (absl::Status status = ReadSwitch(document, "loadOnlyInlinedPlugins", &out->load_only_inlined_plugins);
      !status.ok())
    return status;
  if (!IsSafeName(out->name)) return Invalid(absl::StrCat("name \"", out->name, "\" is not a network name"));
  return SelectVersion(version, versions, &out->version);
}

absl::StatusOr<PluginConfig> ReadPlugin(const nlohmann::json& object, const std::string& path) {
  PluginConfig out;
  Fields fields(object, path);
  fields.String("type", &out.type);
  fields.Object("capabilities", [&](const nlohmann::json& value, const std::string& where) {
    for (const auto& [key, flag] : value.items()) {
      if (!flag.is_boolean()) return Invalid(absl::StrCat(where, ".", key, ": not true or false"));
      out.capabilities[key] = flag.get<bool>();
    }
    return absl::OkStatus();
  });
  if (!fields.status().ok()) return fields.status();
  if (!IsSafeName(out.type))
    return Invalid(absl::StrCat(path, path.empty() ? "" : ".", "type: \"", out.type, "\" is not a plugin's file name"));
  out.json = object.dump();
  return out;
}

absl::Status Insert(absl::string_view key, const std::string& text, nlohmann::json* into) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return MakeError(ErrorCode::kDecodingFailure, absl::StrCat(key, " is not JSON"));
  (*into)[std::string(key)] = std::move(value);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ConfigList> ParseConfigList(absl::string_view text) {
  absl::StatusOr<nlohmann::json> document = ParseJson(text);
  if (!document.ok()) return document.status();
  ConfigList out;
  if (absl::Status status = ReadHead(*document, &out); !status.ok()) return status;
  Fields fields(*document, "");
  fields.Each("plugins", [&](const nlohmann::json& item, const std::string& path) {
    absl::StatusOr<PluginConfig> plugin = ReadPlugin(item, path);
    if (!plugin.ok()) return plugin.status();
    out.plugins.push_back(*std::move(plugin));
    return absl::OkStatus();
  });
  if (!fields.status().ok()) return fields.status();
  if (out.plugins.empty()) return Invalid("plugins: the list has no plugin");
  return out;
}

absl::StatusOr<std::string> WithPlugins(absl::string_view text, const std::vector<std::string>& plugins) {
  absl::StatusOr<nlohmann::json> document = ParseJson(text);
  if (!document.ok()) return document.status();
  nlohmann::json& list = (*document)["plugins"];
  if (list.is_null()) list = nlohmann::json::array();
  if (!list.is_array()) return Invalid("plugins: not a list");
  for (const std::string& plugin : plugins) {
    absl::StatusOr<nlohmann::json> one = ParseJson(plugin);
    if (!one.ok()) return one.status();
    list.push_back(*std::move(one));
  }
  (*document)["loadOnlyInlinedPlugins"] = true;
  return document->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<std::string> PluginFolder(absl::string_view text) {
  absl::StatusOr<nlohmann::json> document = ParseJson(text);
  if (!document.ok()) return document.status();
  ConfigList head;
  if (absl::Status status = ReadHead(*document, &head); !status.ok()) return status;
  return head.load_only_inlined_plugins ? std::string() : head.name;
}

absl::StatusOr<ConfigList> ParseSingleConfig(absl::string_view text) {
  absl::StatusOr<nlohmann::json> document = ParseJson(text);
  if (!document.ok()) return document.status();
  ConfigList out;
  if (absl::Status status = ReadHead(*document, &out); !status.ok()) return status;
  absl::StatusOr<PluginConfig> plugin = ReadPlugin(*document, "");
  if (!plugin.ok()) return plugin.status();
  out.plugins.push_back(*std::move(plugin));
  return out;
}

absl::StatusOr<std::string> MakeRequest(const ConfigList& list, const PluginConfig& plugin,
                                        const RequestParameters& parameters) {
  absl::StatusOr<nlohmann::json> request = ParseJson(plugin.json);
  if (!request.ok()) return request.status();
  (*request)["cniVersion"] = list.version;
  (*request)["name"] = list.name;
  request->erase("capabilities");
  request->erase("runtimeConfig");
  request->erase("prevResult");
  nlohmann::json runtime_config = nlohmann::json::object();
  for (const auto& [capability, value] : parameters.runtime_config) {
    auto declared = plugin.capabilities.find(capability);
    if (declared == plugin.capabilities.end() || !declared->second) continue;
    if (absl::Status status = Insert(capability, value, &runtime_config); !status.ok()) return status;
  }
  if (!runtime_config.empty()) (*request)["runtimeConfig"] = std::move(runtime_config);
  if (!parameters.prev_result.empty()) {
    if (absl::Status status = Insert("prevResult", parameters.prev_result, &*request); !status.ok()) return status;
  }
  if (parameters.valid_attachments != nullptr) {
    nlohmann::json& all = (*request)["cni.dev/valid-attachments"] = nlohmann::json::array();
    for (const Attachment& attachment : *parameters.valid_attachments)
      all.push_back({{"containerID", attachment.container_id}, {"ifname", attachment.ifname}});
  }
  return request->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace wherry::cni
