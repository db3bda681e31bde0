#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/sys/child.h"

namespace wherry::network {

using Clock = sys::Children::Clock;

// One call of one plugin (CNI specification 1.1.0, section 2).
struct PluginCall {
  std::string command;  // "ADD", "DEL" …
  std::string container_id, netns, ifname, args;
  std::string config;  // goes to its standard input
};

// The plugins of the node. Thread-safe.
class Plugins {
 public:
  explicit Plugins(std::vector<std::string> bin_dirs) : bin_dirs_(std::move(bin_dirs)) {}

  // The plugin's executable: the first directory that has it. FailedPrecondition names the plugin and the directories.
  absl::StatusOr<std::string> Find(const std::string& type) const;

  // Runs it and returns its standard output (at most 1 MiB). An error has the plugin's text or what it wrote to standard
  // error, and the code of its kind: Unavailable (try again), FailedPrecondition (the node's configuration),
  // DeadlineExceeded when it did not end by `deadline` (it and its children are killed then), else Internal.
  // Never NotFound, InvalidArgument or Unimplemented, which a CRI client would take for words about its request.
  absl::StatusOr<std::string> Run(const std::string& type, const PluginCall& call, Clock::time_point deadline);

 private:
  const std::vector<std::string> bin_dirs_;
  sys::Children children_;
};

}  // namespace wherry::network
