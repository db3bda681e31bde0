#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Network configurations (CNI specification sections 1 and 3), on both sides: the administrator's document with its
// list of plugins, as a runtime reads it, and the request that one plugin gets on standard input.
namespace wherry::cni {

// One element of "plugins". What the specification does not define is kept as it came: it belongs to the plugin.
struct PluginConfig {
  std::string type;
  std::map<std::string, bool> capabilities;
  std::string json;  // the whole object
};

struct ConfigList {
  std::string version;  // the newest of cniVersion and cniVersions that we support
  std::string name;
  bool disable_check = false, disable_gc = false;
  bool load_only_inlined_plugins = false;  // 1.1.0: false lets files in a folder named after the network add plugins
  std::vector<PluginConfig> plugins;
};

// A .conflist. Errors: 6 (no JSON), 1 (version), 7 (name, no plugins, a type that is no plain file name …).
absl::StatusOr<ConfigList> ParseConfigList(absl::string_view text);
// A .conf or .json with a single plugin, as a list of one.
absl::StatusOr<ConfigList> ParseSingleConfig(absl::string_view text);

// Plugins in files of their own (specification 1.1.0, "loadOnlyInlinedPlugins"). The name of the folder that may hold them, beside
// the document: the network's; empty when the document wants none.
absl::StatusOr<std::string> PluginFolder(absl::string_view text);
// The document with these plugins, each a JSON object, behind its own, and wanting no others.
absl::StatusOr<std::string> WithPlugins(absl::string_view text, const std::vector<std::string>& plugins);

struct Attachment {
  std::string container_id, ifname;
  auto operator<=>(const Attachment&) const = default;
};

// What a runtime adds to a plugin's configuration for one call.
struct RequestParameters {
  // Capability → value as JSON, e.g. "portMappings" → "[{…}]". Only what the plugin declares is passed on.
  std::map<std::string, std::string> runtime_config;
  std::string prev_result;                                     // JSON; empty for the first ADD of a chain
  const std::vector<Attachment>* valid_attachments = nullptr;  // GC only
};

// The document for standard input of `plugin`.
absl::StatusOr<std::string> MakeRequest(const ConfigList& list, const PluginConfig& plugin,
                                        const RequestParameters& parameters);

}  // namespace wherry::cni
