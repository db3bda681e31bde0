#include "absl/strings/match.h"
#include "cri/pod/core.h"

namespace wherry::pod {
namespace {

namespace cri = ::runtime::v1;

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::Status CheckNames(const cri::PodSandboxConfig& config) {
  const cri::PodSandboxMetadata& m = config.metadata();
  if (m.name().empty()) return Bad("config.metadata.name is empty");
  if (m.namespace_().empty()) return Bad("config.metadata.namespace is empty");
  if (m.uid().empty()) return Bad("config.metadata.uid is empty");
  for (const std::string* text : {&m.name(), &m.namespace_(), &m.uid(), &config.hostname()})
    for (unsigned char c : *text)
      // They go into CNI_ARGS, /etc/hosts and sethostname(2).
      if (c <= ' ' || c == 127 || c == ';' || c == '=')
        return Bad(absl::StrCat("\"", *text, "\": character not allowed"));
  if (config.hostname().size() > 64) return Bad("config.hostname is longer than 64 bytes");
  if (!config.log_directory().empty() && config.log_directory()[0] != '/')
    return Bad("config.log_directory is not absolute");
  return absl::OkStatus();
}

absl::Status CheckCgroupParent(const std::string& parent) {
  if (parent.empty()) return absl::OkStatus();
  if (absl::EndsWith(parent, ".slice"))
    return absl::UnimplementedError(absl::StrCat("linux.cgroup_parent \"", parent,
                                                 "\" is a systemd slice; this wherryd uses the cgroupfs driver, as "
                                                 "RuntimeConfig tells: set the kubelet's cgroupDriver to cgroupfs"));
  if (parent[0] != '/' || absl::StrContains(parent, "/../") || absl::EndsWith(parent, "/.."))
    return Bad(absl::StrCat("linux.cgroup_parent \"", parent, "\" is not an absolute path without \"..\""));
  return absl::OkStatus();
}

absl::Status CheckSecurity(const cri::LinuxSandboxSecurityContext& security) {
  const cri::NamespaceOption& ns = security.namespace_options();
  if (ns.has_userns_options() && ns.userns_options().mode() != cri::NODE)
    return absl::UnimplementedError("user namespaces (namespace_options.userns_options) are not implemented");
  if (ns.network() != cri::POD && ns.network() != cri::NODE)
    return Bad("namespace_options.network must be POD or NODE");
  if (ns.ipc() != cri::POD && ns.ipc() != cri::NODE) return Bad("namespace_options.ipc must be POD or NODE");
  if (ns.pid() == cri::TARGET) return Bad("namespace_options.pid TARGET makes no sense for a sandbox");
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const cri::RunPodSandboxRequest& request) {
  if (!request.has_config()) return Bad("config is missing");
  if (!request.runtime_handler().empty())
    return absl::NotFoundError(absl::StrCat("runtime handler \"", request.runtime_handler(), "\" is not configured"));
  if (request.config().has_windows()) return Bad("config.windows: this is a Linux runtime");
  if (absl::Status st = CheckNames(request.config()); !st.ok()) return st;
  if (absl::Status st = CheckCgroupParent(request.config().linux().cgroup_parent()); !st.ok()) return st;
  return CheckSecurity(request.config().linux().security_context());
}

}  // namespace wherry::pod
