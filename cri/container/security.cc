// Namespaces and confinement: what is asked for, against what this host and this version of wherry can enforce.
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cri/container/spec.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

using ::runtime::v1::NamespaceMode;

// Network and IPC are the sandbox's: a container can only agree.
absl::Status CheckShared(absl::string_view field, NamespaceMode pod, NamespaceMode container) {
  if (pod == container) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("namespace_options.", field, ": the container says ", container,
                                                 ", its sandbox was made with ", pod));
}

// The user namespace too; a container that says nothing of it agrees.
absl::Status CheckSameUsers(const ::runtime::v1::NamespaceOption& pod,
                            const ::runtime::v1::NamespaceOption& container) {
  if (!container.has_userns_options()) return absl::OkStatus();
  if (container.userns_options().mode() == ::runtime::v1::NODE && pod.userns_options().uids().empty())
    return absl::OkStatus();
  if (container.userns_options().SerializeAsString() == pod.userns_options().SerializeAsString())
    return absl::OkStatus();
  return absl::InvalidArgumentError("namespace_options.userns_options: the container's are not its sandbox's");
}

absl::StatusOr<shim::v1::PidNamespace> PidMode(const ::runtime::v1::NamespaceOption& pod,
                                               const ::runtime::v1::NamespaceOption& container) {
  switch (container.pid()) {
    case ::runtime::v1::CONTAINER:
      return shim::v1::PID_CONTAINER;
    case ::runtime::v1::TARGET:
      if (container.target_id().empty()) return absl::InvalidArgumentError("namespace_options.target_id is empty");
      return shim::v1::PID_TARGET;
    case ::runtime::v1::POD:
      RETURN_IF_ERROR(CheckShared("pid", pod.pid(), container.pid()));
      return shim::v1::PID_POD;
    case ::runtime::v1::NODE:
      RETURN_IF_ERROR(CheckShared("pid", pod.pid(), container.pid()));
      return shim::v1::PID_HOST;
    default:
      return absl::InvalidArgumentError(absl::StrCat("namespace_options.pid: unknown value ", container.pid()));
  }
}

}  // namespace

absl::Status CheckSecurity(const SpecInput& input) {
  const auto& config = input.config;
  const auto& security = SecurityOf(config);
  if (config.has_windows()) return absl::UnimplementedError("windows: this is Linux");
  if (security.privileged() && !input.pod.config().linux().security_context().privileged()) {
    return absl::InvalidArgumentError("security_context.privileged: the sandbox is not privileged");
  }
  return CheckSameUsers(NamespacesOf(input.pod), security.namespace_options());
}

absl::Status SetNamespaces(const SpecInput& input, shim::v1::StartContainerRequest& spec) {
  const auto& pod = NamespacesOf(input.pod);
  const auto& security = SecurityOf(input.config);
  const auto& container = security.has_namespace_options() ? security.namespace_options() : pod;
  RETURN_IF_ERROR(CheckShared("network", pod.network(), container.network()));
  RETURN_IF_ERROR(CheckShared("ipc", pod.ipc(), container.ipc()));
  ASSIGN_OR_RETURN(shim::v1::PidNamespace pid, PidMode(pod, container));
  spec.set_pid_namespace(pid);
  if (pid == shim::v1::PID_TARGET) spec.set_target_container_id(container.target_id());
  spec.set_host_network(pod.network() == ::runtime::v1::NODE);
  spec.set_host_ipc(pod.ipc() == ::runtime::v1::NODE);
  spec.set_privileged(security.privileged());
  return absl::OkStatus();
}

}  // namespace wherry::container
