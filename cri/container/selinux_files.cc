// The side of SELinux that is not a pure function of the request: the kernel's opinion of a label, and files that wherry has made itself.
#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "runtime/selinux/selinux.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::Status Check(std::string& label) {
  if (label.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN_CTX(label, selinux::Canonical(label), "security_context.selinux_options");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLabels(shim::v1::StartContainerRequest& spec) {
  RETURN_IF_ERROR(Check(*spec.mutable_process()->mutable_selinux_label()));
  return Check(*spec.mutable_rootfs()->mutable_mount_label());
}

// The pod's files are one for all its containers. Where these have labels that differ, the last one has them, as with all peers.
absl::Status LabelOwnFiles(const Paths& paths, const std::string& pod, const std::string& container,
                           const std::string& label) {
  if (label.empty()) return absl::OkStatus();
  for (const std::string& path :
       {paths.hosts(pod), paths.resolv_conf(pod), paths.hostname(pod), paths.volumes(container)}) {
    absl::Status status = selinux::RelabelOwn(path, label);
    if (!status.ok() && !sys::IsErrno(status, ENOENT)) return status;
  }
  return absl::OkStatus();
}

}  // namespace wherry::container
