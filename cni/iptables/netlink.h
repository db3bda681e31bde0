#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cni/iptables/rule.h"

// The table "filter" of iptables, changed by nf_tables messages in the form in which iptables-nft(8) writes and reads them (checked
// with 1.8.9). So no program is run, and administrators and other plugins see the rules with the program they know. An owner
// is kept where that program does not look, in an attribute of its own beside the comment. Not for a host with
// iptables-legacy, whose tables are others.
namespace wherry::iptables {

struct FilterChange {
  std::vector<Change> shared;  // chains and rules that are nobody's
  std::vector<Rule> own;       // the owner's, in place of what it had
  std::vector<Rule> foreign;   // deleted where nobody owns them: the same rules, made by another plugin
};
// In one transaction. IPv6 is the table of ip6tables.
absl::Status Apply(bool v4, const std::string& owner, const FilterChange& change);
// NotFound unless all are there, whoever owns them.
absl::Status Check(bool v4, const std::vector<Rule>& rules);
// Deletes the rules whose owner begins with `prefix` and is none of `valid`.
absl::Status Collect(bool v4, const std::string& prefix, const std::vector<std::string>& valid);

}  // namespace wherry::iptables
