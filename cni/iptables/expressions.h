#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cni/iptables/rule.h"

struct nftnl_rule;

// A rule as nf_tables expressions, in the form of iptables-nft: comparisons in the order source, destination, interfaces, then
// what only xtables have (match extensions), a counter, and the verdict.
namespace wherry::iptables {

// For addresses of a whole length only, and targets that are verdicts or chains; Unimplemented for others. The caller owns the rule.
absl::StatusOr<nftnl_rule*> Write(const Rule& rule, const std::string& owner);
// None for a rule that has more to it than a Rule can hold.
std::optional<Rule> Read(const nftnl_rule& rule);

}  // namespace wherry::iptables
