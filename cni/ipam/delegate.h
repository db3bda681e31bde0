#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace wherry::ipam {

// Runs the plugin `type`, found in the directories of `cni_path` (separated by ':'), with this process's environment but
// CNI_COMMAND=`command`, and `input` on its standard input (CNI specification section 4). Its standard error is ours.
// Returns what it printed, at most 1 MiB; a plugin that fails gives its own error document as status.
// `type` must be a safe name (cni::IsSafeName). The caller must be in the host's network namespace.
absl::StatusOr<std::string> Delegate(const std::string& type, absl::string_view cni_path, absl::string_view command,
                                     absl::string_view input);

}  // namespace wherry::ipam
