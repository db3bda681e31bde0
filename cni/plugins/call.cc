#include "cni/plugins/call.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "api/cni/version.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

using cni::ErrorCode;
using cni::MakeError;

constexpr size_t kMaxInterfaceName = 15;  // IFNAMSIZ without the NUL
constexpr size_t kMaxInput = 1 << 20;

struct Command {
  absl::string_view name;
  absl::string_view since;  // version of the specification
  bool attachment, netns;   // which variables must be set
};
constexpr std::array<Command, 6> kCommands = {{{"ADD", "0.3.0", true, true},
                                               {"DEL", "0.3.0", true, false},
                                               {"CHECK", "0.4.0", true, true},
                                               {"STATUS", "1.1.0", false, false},
                                               {"GC", "1.1.0", false, false},
                                               {"VERSION", "0.3.0", false, false}}};

// What the kernel takes as an interface name (dev_valid_name).
bool IsInterfaceName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxInterfaceName || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == ':' || absl::ascii_isspace(static_cast<unsigned char>(c));
  });
}

absl::Status CheckEnvironment(const Command& command, const Call& call) {
  std::vector<std::string> bad;
  if (command.attachment && !cni::IsSafeName(call.attachment.container_id)) bad.push_back("CNI_CONTAINERID");
  if (command.attachment && !IsInterfaceName(call.attachment.ifname)) bad.push_back("CNI_IFNAME");
  if (command.netns && call.netns.empty()) bad.push_back("CNI_NETNS");
  if (bad.empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidEnvironment,
                   absl::StrCat("environment variables missing or malformed: ", absl::StrJoin(bad, ", ")));
}

absl::Status ReadDocument(const Command& command, Call* call) {
  ASSIGN_OR_RETURN(call->document, cni::ParseJson(call->input));
  cni::Fields fields(call->document, "");
  fields.String("cniVersion", &call->version);
  fields.String("name", &call->network);
  RETURN_IF_ERROR(fields.status());
  if (!cni::IsSafeName(call->network))
    return MakeError(ErrorCode::kInvalidConfig,
                     absl::StrCat("name: \"", call->network, "\" is missing or not a network name"));
  if (!cni::IsSupportedVersion(call->version))
    return MakeError(ErrorCode::kIncompatibleVersion, absl::StrCat("cniVersion \"", call->version, "\" is not one of ",
                                                                   absl::StrJoin(cni::kVersions, ", ")));
  if (!cni::VersionAtLeast(call->version, command.since))
    return MakeError(ErrorCode::kIncompatibleVersion,
                     absl::StrCat("cniVersion ", call->version, " does not know ", command.name));
  return absl::OkStatus();
}

// VERSION may come with nothing on standard input, and then means the newest version.
absl::Status ReadVersionRequest(Call* call) {
  call->version = cni::kNewestVersion;
  if (call->input.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(call->document, cni::ParseJson(call->input));
  cni::Fields fields(call->document, "");
  fields.String("cniVersion", &call->version);
  return fields.status();
}

// A value of CNI_ARGS that is a list with commas.
template <typename Item>
absl::Status ReadList(const char* key, absl::string_view text, absl::StatusOr<Item> (*parse)(absl::string_view),
                      std::vector<Item>* out) {
  for (absl::string_view item : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    absl::StatusOr<Item> parsed = parse(absl::StripAsciiWhitespace(item));
    if (!parsed.ok())
      return MakeError(ErrorCode::kInvalidEnvironment,
                       absl::StrCat("CNI_ARGS: ", key, ": ", parsed.status().message()));
    out->push_back(*std::move(parsed));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Arguments> ParseArguments(absl::string_view text) {
  Arguments out;
  std::vector<std::string> unknown;
  bool ignore = false;
  for (absl::string_view pair : absl::StrSplit(text, ';', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> split = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    const auto& [key, value] = split;
    if (key == "IgnoreUnknown") {
      ignore = absl::AsciiStrToLower(value) == "true" || value == "1";
    } else if (key == "IP") {
      RETURN_IF_ERROR(ReadList("IP", value, ipam::ParseRequestedAddress, &out.ipam.ips));
    } else if (key == "GATEWAY") {
      RETURN_IF_ERROR(ReadList("GATEWAY", value, cni::IpAddress::Parse, &out.ipam.gateways));
    } else if (key == "MAC") {
      out.mac = std::string(value);
    } else {
      unknown.emplace_back(pair);
    }
  }
  if (ignore || unknown.empty()) return out;
  return MakeError(ErrorCode::kInvalidEnvironment,
                   absl::StrCat("CNI_ARGS: unknown without IgnoreUnknown=true: ", absl::StrJoin(unknown, ";")));
}

absl::StatusOr<Call> ReadCall(const Environment& environment, int input_fd) {
  const auto get = [&](const char* name) {
    const char* value = environment(name);
    return std::string(value == nullptr ? "" : value);
  };
  Call call;
  call.command = get("CNI_COMMAND");
  call.attachment = {get("CNI_CONTAINERID"), get("CNI_IFNAME")};
  call.netns = get("CNI_NETNS");
  call.path = get("CNI_PATH");
  call.netns_ends = get("WHERRY_NETNS_ENDS") == "1";
  const auto* command = std::find_if(kCommands.begin(), kCommands.end(),
                                     [&](const Command& known) { return known.name == call.command; });
  if (command == kCommands.end())
    return MakeError(ErrorCode::kInvalidEnvironment, absl::StrCat("CNI_COMMAND: \"", call.command, "\" is no command"));
  RETURN_IF_ERROR(CheckEnvironment(*command, call));
  ASSIGN_OR_RETURN(call.arguments, ParseArguments(get("CNI_ARGS")));
  absl::StatusOr<std::string> input = sys::ReadAll(input_fd, kMaxInput);
  if (!input.ok()) return MakeError(ErrorCode::kIoFailure, absl::StrCat("standard input: ", input.status().message()));
  call.input = *std::move(input);
  RETURN_IF_ERROR(call.command == "VERSION" ? ReadVersionRequest(&call) : ReadDocument(*command, &call));
  return call;
}

}  // namespace wherry::plugins
