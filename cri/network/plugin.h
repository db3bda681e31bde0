#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace wherry::network {

// One call of one plugin (CNI specification 1.1.0, section 2).
struct PluginCall {
  std::string command;  // "ADD", "DEL" …
  std::string container_id, netns, args;
  std::string config;  // goes to its standard input
};

// The plugin's executable: the first bin_dir that has it. FailedPrecondition names the plugin and the directories.
absl::StatusOr<std::string> FindPlugin(const std::vector<std::string>& bin_dirs, const std::string& type);

// Runs it and returns its standard output (at most 1 MiB). An error has the plugin's code and text, or what it wrote to
// standard error; DeadlineExceeded when it did not end by `deadline` (it is killed then).
absl::StatusOr<std::string> RunPlugin(const std::vector<std::string>& bin_dirs, const std::string& type,
                                      const PluginCall& call, absl::Time deadline);

}  // namespace wherry::network
