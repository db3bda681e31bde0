#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/ipam/ipam.h"
#include "cni/iptables/forward.h"
#include "cni/iptables/netlink.h"
#include "cni/iptables/program.h"
#include "cni/nft/label.h"
#include "cni/nft/table.h"
#include "cni/plugins/firewall_config.h"
#include "cni/plugins/plugin.h"
#include "cni/plugins/previous.h"
#include "cni/plugins/undo.h"
#include "runtime/sys/status.h"

// firewall: lets a container's packets through the host's FORWARD chain, where an administrator or another program has closed
// it. An accept ends only the table that it is in, so a table of our own would open nothing: the rules must be in that of
// iptables, beside those that close it. They are written as iptables-nft writes them, but without running it, unless
// the configuration asks for it by name.
namespace wherry::plugins {
namespace {

using iptables::Change;
using iptables::Forwarding;
using iptables::Rule;

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

absl::StatusOr<Forwarding> Wanted(const FirewallConfig& config, const cni::Result& result) {
  Forwarding out;
  out.admin_chain = config.admin_chain;
  out.policy = config.policy;
  for (const cni::IpPrefix& address : ContainerAddresses(result)) out.addresses.push_back(address.address);
  if (out.policy == iptables::IngressPolicy::kOpen) return out;
  // The bridge comes first in the results of the bridge plugin.
  if (result.interfaces.empty() || !result.interfaces[0].sandbox.empty())
    return Invalid("ingressPolicy: prevResult does not begin with a bridge of this host");
  out.bridge = result.interfaces[0].name;
  return out;
}

std::vector<Rule> AllRules(const Forwarding& wanted, bool v4) {
  std::vector<Rule> out = iptables::OwnRules(wanted, v4);
  for (Change& change : iptables::SharedChanges(wanted)) {
    if (change.kind != Change::kChain) out.push_back(std::move(change.rule));
  }
  return out;
}

absl::Status ByProgram(const Forwarding& wanted, bool v4, Change::Kind kind) {
  std::vector<Change> changes;
  if (kind != Change::kDelete) changes = iptables::SharedChanges(wanted);
  for (Rule& rule : iptables::OwnRules(wanted, v4)) changes.push_back({kind, std::move(rule)});
  ASSIGN_OR_RETURN(const iptables::Program program, iptables::Program::Find(v4));
  return program.Apply(iptables::kFilter, changes);
}

absl::Status AddRules(const Call& call, const FirewallConfig& config, const Forwarding& wanted, Undo* undo) {
  const std::string owner = nft::AttachmentLabel(call.network, call.attachment);
  for (const bool v4 : {true, false}) {
    if (!iptables::Serves(wanted, v4)) continue;
    if (config.by_program) {
      undo->Push("deletion of the rules", [&wanted, v4] { return ByProgram(wanted, v4, Change::kDelete); });
      RETURN_IF_ERROR(ByProgram(wanted, v4, Change::kLast));
    } else {
      undo->Push("deletion of the rules", [owner, v4] { return iptables::Apply(v4, owner, {}); });
      RETURN_IF_ERROR(iptables::Apply(
          v4, owner,
          {.shared = iptables::SharedChanges(wanted), .own = iptables::OwnRules(wanted, v4), .foreign = {}}));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<cni::Result> Add(const Call& call) {
  ASSIGN_OR_RETURN(const FirewallConfig config, ReadFirewallConfig(call));
  ASSIGN_OR_RETURN(cni::Result result, PreviousResult(call));
  ASSIGN_OR_RETURN(const Forwarding wanted, Wanted(config, result));
  Undo undo;
  if (absl::Status status = AddRules(call, config, wanted, &undo); !status.ok()) return undo.Run(status);
  return result;
}

// Our own rules are known by their owner; those of the reference plugin, or of iptables, only by the addresses of prevResult.
absl::Status Del(const Call& call) {
  ASSIGN_OR_RETURN(const FirewallConfig config, ReadFirewallConfig(call));
  Forwarding wanted;
  if (absl::StatusOr<cni::Result> result = PreviousResultIfAny(call); result.ok()) {
    for (const cni::IpPrefix& address : ContainerAddresses(*result)) wanted.addresses.push_back(address.address);
  }
  const std::string owner = nft::AttachmentLabel(call.network, call.attachment);
  absl::Status first;
  for (const bool v4 : {true, false}) {
    if (config.by_program && iptables::Serves(wanted, v4)) first.Update(ByProgram(wanted, v4, Change::kDelete));
    if (!config.by_program)
      first.Update(iptables::Apply(v4, owner, {.shared = {}, .own = {}, .foreign = iptables::OwnRules(wanted, v4)}));
  }
  return first;
}

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(const FirewallConfig config, ReadFirewallConfig(call));
  ASSIGN_OR_RETURN(const cni::Result result, PreviousResult(call));
  ASSIGN_OR_RETURN(const Forwarding wanted, Wanted(config, result));
  for (const bool v4 : {true, false}) {
    if (!iptables::Serves(wanted, v4)) continue;
    if (!config.by_program) {
      RETURN_IF_ERROR(iptables::Check(v4, AllRules(wanted, v4)));
      continue;
    }
    ASSIGN_OR_RETURN(const iptables::Program program, iptables::Program::Find(v4));
    RETURN_IF_ERROR(program.Check(iptables::kFilter, AllRules(wanted, v4)));
  }
  return absl::OkStatus();
}

absl::Status Read(const Call& call) { return ReadFirewallConfig(call).status(); }

// Whether nf_tables answers, or the program is there.
absl::Status Status(const Call& call) {
  ASSIGN_OR_RETURN(const FirewallConfig config, ReadFirewallConfig(call));
  if (config.by_program) return iptables::Program::Find(true).status();
  absl::StatusOr<nft::Netfilter> netfilter = nft::Netfilter::Open();
  absl::Status status = netfilter.status();
  if (status.ok()) status = netfilter->ListRules(iptables::kFilter, NFPROTO_IPV4).status();
  return status.ok() ? status : cni::MakeError(cni::ErrorCode::kNotAvailable, status.message());
}

// Rules that the program has written have no owner; the reference leaves them too.
absl::Status Gc(const Call& call) {
  RETURN_IF_ERROR(ReadFirewallConfig(call).status());
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> valid, ipam::ValidAttachments(call.document));
  std::vector<std::string> owners;
  owners.reserve(valid.size());
  for (const cni::Attachment& held : valid) owners.push_back(nft::AttachmentLabel(call.network, held));
  absl::Status first;
  for (const bool v4 : {true, false}) first.Update(iptables::Collect(v4, nft::NetworkLabel(call.network), owners));
  return first;
}

}  // namespace

const Plugin kFirewall = {"firewall", Add, Del, Check, Status, Gc, Read};

}  // namespace wherry::plugins
