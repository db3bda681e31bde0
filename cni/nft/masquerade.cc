#include "cni/nft/masquerade.h"

#include <linux/netfilter.h>

#include <algorithm>

#include "cni/nft/label.h"
#include "cni/nft/owned.h"
#include "cni/nft/rule.h"
#include "cni/nft/table.h"
#include "runtime/sys/status.h"

namespace wherry::nft {
namespace {

constexpr char kTable[] = "cni_plugins_masquerade";
constexpr char kChecks[] = "masq_checks";
constexpr char kPostrouting[] = "postrouting";
constexpr size_t kPostroutingRules = 3;
constexpr int kSourceNatPriority = 100;  // NF_IP_PRI_NAT_SRC

nftnl_rule* LeaveMulticast(const char* prefix) {
  const cni::IpPrefix net = cni::IpPrefix::Parse(prefix).value();
  nftnl_rule* rule = NewRule(kPostrouting);
  MatchFamily(rule, net.address.is_v4());
  MatchAddress(rule, Field::kDestination, net.address, net.length);
  Return(rule);
  return rule;
}

nftnl_rule* MasqueradeOf(const cni::IpPrefix& address, const std::string& comment) {
  nftnl_rule* rule = NewRule(kChecks);
  MatchFamily(rule, address.address.is_v4());
  MatchAddress(rule, Field::kSource, address.address, static_cast<unsigned>(8 * address.address.size()));
  MatchAddress(rule, Field::kDestination, address.address, address.length, /*equal=*/false);
  Masquerade(rule);
  SetComment(rule, comment);
  return rule;
}

void SetUpTable(Transaction* transaction) {
  transaction->EnsureTable();
  transaction->EnsureChain(kChecks);
  transaction->EnsureChain(kPostrouting, Hook{"nat", NF_INET_POST_ROUTING, kSourceNatPriority});
  transaction->FlushChain(kPostrouting);
  transaction->AddRule(LeaveMulticast("224.0.0.0/4"));
  transaction->AddRule(LeaveMulticast("ff00::/8"));
  nftnl_rule* jump = NewRule(kPostrouting);
  Goto(jump, kChecks);
  transaction->AddRule(jump);
}

}  // namespace

absl::Status AddMasquerade(const std::string& network, const cni::Attachment& attachment,
                           const std::vector<cni::IpPrefix>& addresses) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable));
  Transaction transaction(kTable);
  const auto fixed =
      std::count_if(rules.begin(), rules.end(), [](const Rule& rule) { return rule.chain == kPostrouting; });
  if (static_cast<size_t>(fixed) != kPostroutingRules) SetUpTable(&transaction);
  DeleteOwned(rules, network, attachment, &transaction);
  for (const cni::IpPrefix& address : addresses)
    transaction.AddRule(MasqueradeOf(address, Comment(network, attachment)));
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

absl::Status DeleteMasquerade(const std::string& network, const cni::Attachment& attachment) {
  return DeleteOwned(kTable, network, attachment);
}

absl::Status CheckMasquerade(const std::string& network, const cni::Attachment& attachment, size_t count) {
  return CheckOwned(kTable, network, attachment, count);
}

absl::Status CollectMasquerade(const std::string& network, const std::vector<cni::Attachment>& valid) {
  return CollectOwned(kTable, network, valid);
}

}  // namespace wherry::nft
