#include "absl/strings/match.h"
#include "cri/container/spec.h"
#include "cri/container/user_namespace.h"
#include "cri/pod/core.h"
#include "runtime/cgroup/unit.h"
#include "runtime/sys/status.h"

namespace wherry::pod {
namespace {

namespace cri = ::runtime::v1;

constexpr size_t kMaxName = 253;  // as Kubernetes has it; they become environment variables of CNI plugins

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
  for (const std::string* text : {&m.name(), &m.namespace_(), &m.uid()})
    if (text->size() > kMaxName) return Bad("config.metadata: a name of more than 253 bytes");
  if (config.hostname().size() > 64) return Bad("config.hostname is longer than 64 bytes");
  if (!config.log_directory().empty() && config.log_directory()[0] != '/')
    return Bad("config.log_directory is not absolute");
  return absl::OkStatus();
}

// A host port of 0 is the kubelet's way to name a container's port.
absl::Status CheckPorts(const cri::PodSandboxConfig& config) {
  for (const cri::PortMapping& m : config.port_mappings()) {
    if (!cri::Protocol_IsValid(m.protocol())) return Bad("config.port_mappings: unknown protocol");
    if (m.host_port() < 0 || m.host_port() > 65535 || m.container_port() < 0 || m.container_port() > 65535 ||
        (m.host_port() > 0 && m.container_port() == 0))
      return Bad(
          absl::StrCat("config.port_mappings: ", m.host_port(), " to ", m.container_port(), " are not two ports"));
  }
  return absl::OkStatus();
}

// The two drivers cannot be mixed: kubelet and runtime would undo each other's work.
absl::Status CheckCgroupParent(const std::string& parent, bool systemd) {
  if (parent.empty()) return absl::OkStatus();
  const std::string what = absl::StrCat("linux.cgroup_parent \"", parent, "\"");
  if (cgroup::IsSlice(parent) != systemd)
    return absl::FailedPreconditionError(
        systemd ? absl::StrCat(what,
                               " is not a systemd slice; this wherryd uses the systemd driver, as RuntimeConfig "
                               "tells: set the kubelet's cgroupDriver to systemd")
                : absl::StrCat(what,
                               " is a systemd slice; this wherryd uses the cgroupfs driver, as RuntimeConfig "
                               "tells: set the kubelet's cgroupDriver to cgroupfs"));
  if (systemd) return sys::Annotate(cgroup::SlicePath(parent).status(), "linux.cgroup_parent");
  if (parent[0] != '/' || absl::StrContains(parent, "/../") || absl::EndsWith(parent, "/.."))
    return Bad(absl::StrCat("linux.cgroup_parent \"", parent, "\" is not an absolute path without \"..\""));
  return absl::OkStatus();
}

absl::Status CheckSecurity(const cri::LinuxSandboxSecurityContext& security) {
  const cri::NamespaceOption& ns = security.namespace_options();
  if (absl::Status st = container::CheckUserNamespace(ns); !st.ok()) return st;
  if (ns.network() != cri::POD && ns.network() != cri::NODE)
    return Bad("namespace_options.network must be POD or NODE");
  if (ns.ipc() != cri::POD && ns.ipc() != cri::NODE) return Bad("namespace_options.ipc must be POD or NODE");
  if (ns.pid() != cri::POD && ns.pid() != cri::CONTAINER && ns.pid() != cri::NODE)
    return Bad("namespace_options.pid must be POD, CONTAINER or NODE for a sandbox");
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const cri::RunPodSandboxRequest& request, bool systemd) {
  if (!request.has_config()) return Bad("config is missing");
  if (request.config().has_windows()) return Bad("config.windows: this is a Linux runtime");
  if (absl::Status st = CheckNames(request.config()); !st.ok()) return st;
  if (absl::Status st = CheckPorts(request.config()); !st.ok()) return st;
  if (absl::Status st = CheckCgroupParent(request.config().linux().cgroup_parent(), systemd); !st.ok()) return st;
  return CheckSecurity(request.config().linux().security_context());
}

}  // namespace wherry::pod
