// Which SELinux labels a container gets: its pod's, with what its own options say in place. CRI-O's rules, where the peers differ: what
// shares the host's processes or System V IPC is not kept apart from it by labels, unless it asks for one; and a privileged container's
// process has none, while its files have the pod's, so that the pod's other containers can use what they share.
#include "runtime/selinux/selinux.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cri/container/spec.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

using ::runtime::v1::SELinuxOption;

// What the language of policies allows in names, and levels in addition: so no part can be taken for two.
absl::Status CheckPart(absl::string_view field, absl::string_view value, absl::string_view punctuation) {
  const bool good = std::all_of(value.begin(), value.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || punctuation.find(c) != absl::string_view::npos;
  });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": \"", value, "\" has a character that no SELinux label has there"));
}

void Replace(const std::string& value, std::string& part) {
  if (!value.empty()) part = value;
}

}  // namespace

bool AsksForLabel(const SELinuxOption& options) {
  return !options.user().empty() || !options.role().empty() || !options.type().empty() || !options.level().empty();
}

absl::StatusOr<selinux::Labels> Overlay(const selinux::Labels& labels, const SELinuxOption& options) {
  RETURN_IF_ERROR(CheckPart("user", options.user(), "_.-"));
  RETURN_IF_ERROR(CheckPart("role", options.role(), "_.-"));
  RETURN_IF_ERROR(CheckPart("type", options.type(), "_.-"));
  RETURN_IF_ERROR(CheckPart("level", options.level(), "_.-:,"));
  ASSIGN_OR_RETURN(selinux::Context process, selinux::Parse(labels.process));
  ASSIGN_OR_RETURN(selinux::Context file, selinux::Parse(labels.file));
  Replace(options.user(), process.user);
  Replace(options.user(), file.user);
  Replace(options.role(), process.role);
  Replace(options.type(), process.type);
  Replace(options.level(), process.level);
  Replace(options.level(), file.level);
  return selinux::Labels{selinux::Text(process), selinux::Text(file)};
}

absl::Status SetLabels(const SpecInput& input, shim::v1::StartContainerRequest& spec) {
  const auto& security = SecurityOf(input.config);
  const bool asks = AsksForLabel(security.selinux_options());
  const selinux::Labels pod{input.pod.selinux_process_label(), input.pod.selinux_file_label()};
  if (pod.process.empty()) {
    if (!asks || security.privileged()) return absl::OkStatus();
    RETURN_IF_ERROR_CTX(input.host.selinux, "security_context.selinux_options");
    return absl::FailedPreconditionError("security_context.selinux_options: the sandbox was made without labels");
  }
  if (!asks && (spec.pid_namespace() == shim::v1::PID_HOST || spec.host_ipc())) return absl::OkStatus();
  ASSIGN_OR_RETURN_CTX(selinux::Labels labels, Overlay(pod, security.selinux_options()),
                       "security_context.selinux_options");
  if (!security.privileged()) spec.mutable_process()->set_selinux_label(labels.process);
  spec.mutable_rootfs()->set_mount_label(labels.file);
  return absl::OkStatus();
}

}  // namespace wherry::container
