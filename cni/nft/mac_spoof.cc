#include "cni/nft/mac_spoof.h"

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/cni/error.h"
#include "cni/nft/label.h"
#include "cni/nft/rule.h"
#include "cni/nft/table.h"
#include "runtime/sys/status.h"

namespace wherry::nft {
namespace {

constexpr char kTable[] = "nat";
constexpr char kPrerouting[] = "PREROUTING";
constexpr int kPriority = -300;  // NF_BR_PRI_NAT_DST_BRIDGED
constexpr size_t kRules = 4;
constexpr size_t kMaxComment = 128;

constexpr char kCommentStart[] = "macspoofchk-";

struct Names {
  std::string port_chain, mac_chain, comment;
};
// `id` is CONTAINERID-IFNAME.
Names NamesOf(absl::string_view id) {
  return {absl::StrCat("cni-br-iface-", id), absl::StrCat("cni-br-iface-", id, "-mac"),
          absl::StrCat(kCommentStart, id)};
}
Names NamesOf(const cni::Attachment& attachment) {
  return NamesOf(absl::StrCat(attachment.container_id, "-", attachment.ifname));
}

bool IsOf(const Rule& rule, const Names& names) { return rule.comment == names.comment; }

void DeletePortRules(const std::vector<Rule>& rules, const Names& names, Transaction* transaction) {
  for (const Rule& rule : rules) {
    if (rule.chain == kPrerouting && IsOf(rule, names)) transaction->DeleteRule(rule);
  }
}

// The two chains, there and empty.
void EmptyChains(const Names& names, Transaction* transaction) {
  for (const std::string& chain : {names.port_chain, names.mac_chain}) {
    transaction->EnsureChain(chain.c_str());
    transaction->FlushChain(chain);
  }
}

void DeleteAll(const std::vector<Rule>& rules, const Names& names, Transaction* transaction) {
  DeletePortRules(rules, names, transaction);
  EmptyChains(names, transaction);
  transaction->DeleteChain(names.port_chain);
  transaction->DeleteChain(names.mac_chain);
}

}  // namespace

absl::Status AddMacSpoofCheck(const std::string& network, const cni::Attachment& attachment, const std::string& port,
                              const void* mac) {
  const Names names = NamesOf(attachment);
  if (names.comment.size() > kMaxComment)
    return cni::MakeError(cni::ErrorCode::kInvalidEnvironment, "CNI_CONTAINERID: too long for macspoofchk");
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable, NFPROTO_BRIDGE));
  Transaction transaction(kTable, NFPROTO_BRIDGE);
  transaction.EnsureTable();
  transaction.EnsureChain(kPrerouting, Hook{"filter", NF_BR_PRE_ROUTING, kPriority});
  DeletePortRules(rules, names, &transaction);
  EmptyChains(names, &transaction);
  const std::string owner = AttachmentLabel(network, attachment);
  const auto add = [&](nftnl_rule* rule) {
    SetCommentAndOwner(rule, names.comment, owner);
    transaction.AddRule(rule);
  };
  nftnl_rule* enter = NewRule(kPrerouting);
  MatchInputInterface(enter, port);
  Jump(enter, names.port_chain.c_str());
  add(enter);
  nftnl_rule* look = NewRule(names.port_chain.c_str());
  Jump(look, names.mac_chain.c_str());
  add(look);
  nftnl_rule* own = NewRule(names.mac_chain.c_str());
  MatchSourceMac(own, mac);
  Return(own);
  add(own);
  nftnl_rule* foreign = NewRule(names.mac_chain.c_str());
  Drop(foreign);
  add(foreign);
  return transaction.Commit(netfilter);
}

absl::Status DeleteMacSpoofCheck(const cni::Attachment& attachment) {
  const Names names = NamesOf(attachment);
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable, NFPROTO_BRIDGE));
  if (std::none_of(rules.begin(), rules.end(), [&](const Rule& rule) { return IsOf(rule, names); }))
    return absl::OkStatus();
  Transaction transaction(kTable, NFPROTO_BRIDGE);
  DeleteAll(rules, names, &transaction);
  return transaction.Commit(netfilter);
}

absl::Status CheckMacSpoofCheck(const cni::Attachment& attachment) {
  const Names names = NamesOf(attachment);
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable, NFPROTO_BRIDGE));
  const auto found = std::count_if(rules.begin(), rules.end(), [&](const Rule& rule) { return IsOf(rule, names); });
  if (static_cast<size_t>(found) == kRules) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("check: table bridge ", kTable, " has ", found,
                                          " rules of macspoofchk in place of ", kRules, " for container ",
                                          attachment.container_id));
}

absl::Status CollectMacSpoofChecks(const std::string& network, const std::vector<cni::Attachment>& valid) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable, NFPROTO_BRIDGE));
  Transaction transaction(kTable, NFPROTO_BRIDGE);
  for (const Rule& rule : rules) {
    absl::string_view id = rule.comment;
    const bool ours = rule.chain == kPrerouting && absl::StartsWith(rule.owner, NetworkLabel(network)) &&
                      absl::ConsumePrefix(&id, kCommentStart);
    const auto holds = [&](const cni::Attachment& held) { return rule.owner == AttachmentLabel(network, held); };
    if (ours && std::none_of(valid.begin(), valid.end(), holds)) DeleteAll(rules, NamesOf(id), &transaction);
  }
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

}  // namespace wherry::nft
