#include "cni/plugins/firewall_config.h"

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "api/cni/version.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

constexpr size_t kMaxChain = 28;  // of iptables (XT_EXTENSION_MAXNAMELEN)

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

absl::StatusOr<iptables::IngressPolicy> PolicyOf(const std::string& name) {
  if (name.empty() || name == "open") return iptables::IngressPolicy::kOpen;
  if (name == "same-bridge") return iptables::IngressPolicy::kSameBridge;
  if (name == "isolated") return iptables::IngressPolicy::kIsolated;
  return Invalid(absl::StrCat("ingressPolicy: \"", name, "\" is not open, same-bridge or isolated"));
}

}  // namespace

absl::StatusOr<FirewallConfig> ReadFirewallConfig(const Call& call) {
  FirewallConfig out;
  std::string backend, zone, policy, admin;
  cni::Fields fields(call.document, "");
  fields.String("backend", &backend);
  fields.String("firewalldZone", &zone);
  fields.String("ingressPolicy", &policy);
  fields.String("iptablesAdminChainName", &admin);
  RETURN_IF_ERROR(fields.status());
  out.by_program = backend == "iptables";
  if (call.command != "DEL") {
    if (!backend.empty() && backend != "iptables" && backend != "nftables")
      return cni::MakeError(cni::ErrorCode::kUnsupportedField, absl::StrCat("unsupported field backend: ", backend));
    if (!zone.empty())
      return cni::MakeError(cni::ErrorCode::kUnsupportedField, absl::StrCat("unsupported field firewalldZone: ", zone));
  }
  ASSIGN_OR_RETURN(out.policy, PolicyOf(policy));
  if (admin.empty()) return out;
  if (!cni::IsSafeName(admin) || admin.size() > kMaxChain)
    return Invalid(absl::StrCat("iptablesAdminChainName: \"", admin, "\" is no name for a chain"));
  out.admin_chain = admin;
  return out;
}

}  // namespace wherry::plugins
