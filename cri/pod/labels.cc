// The SELinux labels of a pod: decided and asked of the kernel before anything is made, and kept in its record, from which its containers
// have theirs.
#include "absl/strings/str_cat.h"
#include "cri/pod/core.h"
#include "runtime/selinux/selinux.h"
#include "runtime/sys/status.h"

namespace wherry::pod {
namespace {

constexpr char kField[] = "linux.security_context.selinux_options";

void AddLevel(const std::string& label, std::set<std::string>& levels) {
  if (auto context = selinux::Parse(label); context.ok() && !context->level.empty()) levels.insert(context->level);
}

// Those that containers asked for on their own too.
std::set<std::string> LevelsInUse(const store::Store& store) {
  std::set<std::string> levels;
  for (const store::Pod& pod : store.Pods()) AddLevel(pod->selinux_process_label(), levels);
  for (const store::Container& container : store.Containers()) {
    if (container::SecurityOf(container->config()).selinux_options().level().empty()) continue;
    shim::v1::StartContainerRequest spec;
    if (spec.ParseFromString(container->spec())) AddLevel(spec.rootfs().mount_label(), levels);
  }
  return levels;
}

}  // namespace

absl::StatusOr<Levels::Reserved> SetLabels(Core& core, store::PodRecord& pod) {
  const container::HostFacts& host = core.containers.host;
  const auto& security = pod.config().linux().security_context();
  if (!host.selinux.ok()) {
    if (security.privileged() || !container::AsksForLabel(security.selinux_options())) return nullptr;
    return sys::Annotate(host.selinux, kField);
  }
  ::runtime::v1::SELinuxOption options = security.selinux_options();
  Levels::Reserved level;
  ASSIGN_OR_RETURN(const selinux::Context usual, selinux::Parse(host.selinux_labels.process));
  if (options.level().empty() && !usual.level.empty()) {
    ASSIGN_OR_RETURN(level, core.levels.Take(core.containers.config.selinux.category_range,
                                             [&] { return LevelsInUse(core.store); }));
    options.set_level(*level);
  }
  ASSIGN_OR_RETURN_CTX(const selinux::Labels labels, container::Overlay(host.selinux_labels, options), kField);
  ASSIGN_OR_RETURN_CTX(*pod.mutable_selinux_process_label(), selinux::Canonical(labels.process), kField);
  ASSIGN_OR_RETURN_CTX(*pod.mutable_selinux_file_label(), selinux::Canonical(labels.file), kField);
  return level;
}

}  // namespace wherry::pod
