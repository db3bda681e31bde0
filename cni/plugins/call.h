#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "api/cni/config.h"
#include "cni/ipam/arguments.h"

// One call of a plugin (CNI specification section 2): parameters from the environment, the configuration from standard
// input, both checked before any plugin sees them.
namespace wherry::plugins {

// Looks up an environment variable; null when it is not set.
using Environment = std::function<const char*(const char* name)>;

// CNI_ARGS. What we do not know is refused unless IgnoreUnknown says otherwise, as the field does.
struct Arguments {
  ipam::Arguments ipam;  // IP=, GATEWAY=
  std::string mac;
};
absl::StatusOr<Arguments> ParseArguments(absl::string_view text);

struct Call {
  std::string command;
  cni::Attachment attachment;  // CNI_CONTAINERID, CNI_IFNAME
  std::string netns;           // CNI_NETNS; may be empty for DEL
  std::string path;            // CNI_PATH
  // WHERRY_NETNS_ENDS=1, an extension: whoever calls DEL destroys the namespace right afterwards.
  bool netns_ends = false;
  Arguments arguments;
  std::string version;  // cniVersion, supported
  std::string network;  // name, safe
  std::string input;    // standard input as it came
  nlohmann::json document;
};

// Errors: 4 with the names of missing or malformed variables, 5 unreadable input, 6 no JSON, 7 no or bad network name,
// 1 unsupported cniVersion, or one that has no such command.
absl::StatusOr<Call> ReadCall(const Environment& environment, int input_fd);

}  // namespace wherry::plugins
