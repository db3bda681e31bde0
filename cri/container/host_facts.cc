#include "absl/strings/str_cat.h"
#include "cri/container/capabilities.h"
#include "cri/container/spec.h"
#include "runtime/apparmor/apparmor.h"
#include "runtime/security/paths.h"
#include "runtime/sys/probe.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

// The last needs all of them. The others are asked one by one only to say what is lacking, since each is a fork of wherryd at its start.
absl::Status CheckUserNamespaces(const std::string& root) {
  if (sys::ProbeIdmappedOverlay(root).ok()) return absl::OkStatus();
  RETURN_IF_ERROR_CTX(sys::ProbeUserNamespace(), "user namespaces");
  RETURN_IF_ERROR_CTX(sys::ProbeIdmappedMount(root), absl::StrCat("idmapped mounts of \"", root, "\""));
  return sys::Annotate(sys::ProbeIdmappedOverlay(root), "overlay of idmapped layers");
}

// Fills `labels` too.
absl::Status CheckSelinux(const config::Config& config, selinux::Labels& labels) {
  RETURN_IF_ERROR(selinux::CheckHost());
  if (!config.selinux.enabled)
    return absl::FailedPreconditionError("switched off in the configuration ([selinux] enabled = false)");
  ASSIGN_OR_RETURN(labels, selinux::DefaultLabels());
  for (const std::string& label : {labels.process, labels.file}) RETURN_IF_ERROR(selinux::Canonical(label).status());
  return absl::OkStatus();
}

}  // namespace

HostFacts HostFacts::Probe(const config::Config& config) {
  HostFacts facts;
  facts.capabilities = AvailableCapabilities();
  facts.masked_paths = security::DefaultMaskedPaths();
  facts.selinux = CheckSelinux(config, facts.selinux_labels);
  facts.user_namespaces = CheckUserNamespaces(config.root);
  facts.recursive_read_only = sys::ProbeMountSetattr().ok();
  facts.apparmor = apparmor::CheckHost();
  facts.apparmor_default = apparmor::Loader::CheckDefault();
  return facts;
}

}  // namespace wherry::container
