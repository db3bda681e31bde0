#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/cni/error.h"
#include "api/cni/version.h"
#include "cni/plugins/plugin.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

// wherry-cni: the CNI plugins in one file. Which one it is, it learns from the name it was started by, so that an installation
// is one file with hard links in the directory of plugins. Everything here happens once, between exec and exit: no threads,
// no streams, no state beside the call.
namespace {

using wherry::plugins::Call;
using wherry::plugins::Plugin;

constexpr const Plugin* kPlugins[] = {
    &wherry::plugins::kBandwidth, &wherry::plugins::kBridge,   &wherry::plugins::kFirewall,
    &wherry::plugins::kHostLocal, &wherry::plugins::kLoopback, &wherry::plugins::kPortmap,
    &wherry::plugins::kPtp,       &wherry::plugins::kStatic,   &wherry::plugins::kTuning};

absl::StatusOr<const Plugin*> PluginOf(absl::string_view program) {
  const absl::string_view name = program.substr(program.rfind('/') + 1);
  for (const Plugin* plugin : kPlugins) {
    if (name == plugin->name) return plugin;
  }
  const std::string names =
      absl::StrJoin(kPlugins, ", ", [](std::string* out, const Plugin* plugin) { absl::StrAppend(out, plugin->name); });
  return wherry::cni::MakeError(wherry::cni::ErrorCode::kInternal,
                                absl::StrCat("\"", name, "\" is no plugin of wherry-cni ", WHERRY_VERSION,
                                             ", which is to be started by one of the names ", names));
}

std::string VersionDocument(const std::string& version) {
  return absl::StrCat("{\n    \"cniVersion\": \"", version, "\",\n    \"supportedVersions\": [\"",
                      absl::StrJoin(wherry::cni::kVersions, "\", \""), "\"]\n}");
}

// What is printed on success; empty for the commands that answer nothing.
absl::StatusOr<std::string> Run(const Plugin& plugin, const Call& call) {
  if (call.command == "VERSION") return VersionDocument(call.version);
  if (call.command == "ADD") {
    ASSIGN_OR_RETURN(wherry::cni::Result result, plugin.add(call));
    return wherry::cni::PrintResult(result, call.version);
  }
  absl::Status (*act)(const Call&) = call.command == "DEL"     ? plugin.del
                                     : call.command == "CHECK" ? plugin.check
                                     : call.command == "GC"    ? plugin.gc
                                                               : plugin.status;
  if (call.command == "STATUS") RETURN_IF_ERROR(plugin.read(call));
  RETURN_IF_ERROR(act(call));
  return std::string();
}

absl::StatusOr<std::string> ReadAndRun(absl::string_view program, std::string* version) {
  ASSIGN_OR_RETURN(const Plugin* plugin, PluginOf(program));
  ASSIGN_OR_RETURN(Call call,
                   wherry::plugins::ReadCall([](const char* name) { return std::getenv(name); }, STDIN_FILENO));
  *version = call.version;
  return Run(*plugin, call);
}

}  // namespace

int main(int argc, char** argv) {
  std::string version = wherry::cni::kNewestVersion;
  absl::StatusOr<std::string> output = ReadAndRun(argc > 0 ? argv[0] : "", &version);
  WHERRY_CRASH_POINT("cni.answer");
  const bool good = output.ok();
  if (!good) output = wherry::cni::PrintError(wherry::cni::ToError(output.status()), version);
  if (absl::Status written = wherry::sys::WriteAll(STDOUT_FILENO, *output); !written.ok()) return EXIT_FAILURE;
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
