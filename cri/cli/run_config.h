#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "cri/cli/commands.h"

namespace runtime::v1 {
class ContainerConfig;
class PodSandboxConfig;
}  // namespace runtime::v1

namespace wherry::cli {

struct RunConfig {
  RunConfig();
  RunConfig(RunConfig&&) noexcept;
  ~RunConfig();
  std::unique_ptr<cri::PodSandboxConfig> pod;
  std::unique_ptr<cri::ContainerConfig> container;
};

struct RunNames {
  std::string name;     // of pod and container
  std::string uid;      // of the pod
  std::string log_dir;  // absolute
};

// What `wherry run` asks the runtime for, all but the image's id. InvalidArgument names the flag.
absl::Status MakeRunConfig(const RunOptions& options, const RunNames& names, RunConfig& config);

}  // namespace wherry::cli
