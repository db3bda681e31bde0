#include "cni/iptables/netlink.h"

#include <linux/netfilter.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cni/iptables/expressions.h"
#include "cni/nft/table.h"
#include "runtime/sys/status.h"

namespace wherry::iptables {
namespace {

constexpr char kTable[] = "filter";
constexpr char kBuiltin[] = "FORWARD";
constexpr nft::Hook kHook{"filter", NF_INET_FORWARD, 0};  // NF_IP_PRI_FILTER
constexpr int kAttempts = 100;                            // each is lost to another's change, and those end too

uint8_t Family(bool v4) { return v4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

struct Present {
  nft::Rule handle;
  std::optional<Rule> rule;  // none: not of the kind that we write
};

absl::StatusOr<std::vector<Present>> List(nft::Netfilter& netfilter, bool v4) {
  ASSIGN_OR_RETURN(std::vector<nft::Rule> rules, netfilter.ListRules(kTable, Family(v4)));
  std::vector<Present> out;
  out.reserve(rules.size());
  for (nft::Rule& rule : rules) {
    std::optional<Rule> read = Read(*rule.parsed);
    out.push_back({std::move(rule), std::move(read)});
  }
  return out;
}

bool Has(const std::vector<Present>& present, const Rule& wanted) {
  return std::any_of(present.begin(), present.end(), [&](const Present& one) { return one.rule == wanted; });
}

absl::Status AddShared(const std::vector<Change>& changes, const std::vector<Present>& present,
                       nft::Transaction* transaction) {
  transaction->EnsureTable();
  for (const Change& change : changes) {
    const std::string& chain = change.rule.chain;
    if (change.kind == Change::kChain) {
      transaction->EnsureChain(chain.c_str(), chain == kBuiltin ? std::optional(kHook) : std::nullopt);
    } else if (!Has(present, change.rule)) {
      ASSIGN_OR_RETURN(nftnl_rule * rule, Write(change.rule, ""));
      change.kind == Change::kFirst ? transaction->InsertRule(rule) : transaction->AddRule(rule);
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyOnce(nft::Netfilter& netfilter, bool v4, const std::string& owner, const FilterChange& change) {
  ASSIGN_OR_RETURN(const uint32_t generation, netfilter.Generation());
  ASSIGN_OR_RETURN(const std::vector<Present> present, List(netfilter, v4));
  nft::Transaction transaction(kTable, Family(v4));
  // A chain without the rules that lead to it may be missing as well.
  const bool complete = std::all_of(change.shared.begin(), change.shared.end(), [&](const Change& shared) {
    return shared.kind == Change::kChain || Has(present, shared.rule);
  });
  if (!complete) {
    transaction.RequireGeneration(generation);  // others may be adding the same now
    RETURN_IF_ERROR(AddShared(change.shared, present, &transaction));
  }
  for (const Present& one : present) {
    const bool foreign = one.handle.owner.empty() && one.rule &&
                         std::find(change.foreign.begin(), change.foreign.end(), *one.rule) != change.foreign.end();
    if (foreign || (!owner.empty() && one.handle.owner == owner)) transaction.DeleteRule(one.handle);
  }
  for (const Rule& own : change.own) {
    ASSIGN_OR_RETURN(nftnl_rule * rule, Write(own, owner));
    transaction.AddRule(rule);
  }
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

}  // namespace

absl::Status Apply(bool v4, const std::string& owner, const FilterChange& change) {
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    ASSIGN_OR_RETURN(nft::Netfilter netfilter, nft::Netfilter::Open());
    status = ApplyOnce(netfilter, v4, owner, change);
    // ERESTART: the rules are not those that were listed. ENOENT: one that was to be deleted is gone already.
    if (!sys::IsErrno(status, ERESTART) && !sys::IsErrno(status, ENOENT)) return status;
  }
  return status;
}

absl::Status Check(bool v4, const std::vector<Rule>& rules) {
  ASSIGN_OR_RETURN(nft::Netfilter netfilter, nft::Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Present> present, List(netfilter, v4));
  for (const Rule& rule : rules) {
    if (!Has(present, rule))
      return absl::NotFoundError(absl::StrCat("check: table ", v4 ? "ip" : "ip6", " filter has no rule -A ", rule.chain,
                                              " ", absl::StrJoin(ArgumentsOf(rule), " ")));
  }
  return absl::OkStatus();
}

absl::Status Collect(bool v4, const std::string& prefix, const std::vector<std::string>& valid) {
  const std::set<std::string> keep(valid.begin(), valid.end());
  ASSIGN_OR_RETURN(nft::Netfilter netfilter, nft::Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<nft::Rule> rules, netfilter.ListRules(kTable, Family(v4)));
  nft::Transaction transaction(kTable, Family(v4));
  for (const nft::Rule& rule : rules) {
    if (absl::StartsWith(rule.owner, prefix) && !keep.contains(rule.owner)) transaction.DeleteRule(rule);
  }
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

}  // namespace wherry::iptables
