#include "cni/nft/mac_spoof.h"

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
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

struct Names {
  std::string port_chain, mac_chain, comment;
};
Names NamesOf(const cni::Attachment& attachment) {
  const std::string id = absl::StrCat(attachment.container_id, "-", attachment.ifname);
  return {absl::StrCat("cni-br-iface-", id), absl::StrCat("cni-br-iface-", id, "-mac"),
          absl::StrCat("macspoofchk-", id)};
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

void AddRule(nftnl_rule* rule, const Names& names, Transaction* transaction) {
  SetComment(rule, names.comment);
  transaction->AddRule(rule);
}

}  // namespace

absl::Status AddMacSpoofCheck(const cni::Attachment& attachment, const std::string& port, const void* mac) {
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
  nftnl_rule* enter = NewRule(kPrerouting);
  MatchInputInterface(enter, port);
  Jump(enter, names.port_chain.c_str());
  AddRule(enter, names, &transaction);
  nftnl_rule* look = NewRule(names.port_chain.c_str());
  Jump(look, names.mac_chain.c_str());
  AddRule(look, names, &transaction);
  nftnl_rule* own = NewRule(names.mac_chain.c_str());
  MatchSourceMac(own, mac);
  Return(own);
  AddRule(own, names, &transaction);
  nftnl_rule* foreign = NewRule(names.mac_chain.c_str());
  Drop(foreign);
  AddRule(foreign, names, &transaction);
  return transaction.Commit(netfilter);
}

absl::Status DeleteMacSpoofCheck(const cni::Attachment& attachment) {
  const Names names = NamesOf(attachment);
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable, NFPROTO_BRIDGE));
  if (std::none_of(rules.begin(), rules.end(), [&](const Rule& rule) { return IsOf(rule, names); }))
    return absl::OkStatus();
  Transaction transaction(kTable, NFPROTO_BRIDGE);
  DeletePortRules(rules, names, &transaction);
  EmptyChains(names, &transaction);
  transaction.DeleteChain(names.port_chain);
  transaction.DeleteChain(names.mac_chain);
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

}  // namespace wherry::nft
