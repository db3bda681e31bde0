#include "cni/nft/owned.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cni/nft/label.h"
#include "runtime/sys/status.h"

namespace wherry::nft {

bool IsOf(const Rule& rule, const std::string& label) { return absl::StartsWith(rule.comment, label); }

void DeleteOwned(const std::vector<Rule>& rules, const std::string& network, const cni::Attachment& attachment,
                 Transaction* transaction) {
  const std::string label = AttachmentLabel(network, attachment);
  for (const Rule& rule : rules) {
    if (IsOf(rule, label)) transaction->DeleteRule(rule);
  }
}

absl::Status DeleteOwned(const char* table, const std::string& network, const cni::Attachment& attachment) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(table));
  Transaction transaction(table);
  DeleteOwned(rules, network, attachment, &transaction);
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

absl::Status CheckOwned(const char* table, const std::string& network, const cni::Attachment& attachment,
                        size_t count) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(table));
  const std::string label = AttachmentLabel(network, attachment);
  const auto found = std::count_if(rules.begin(), rules.end(), [&](const Rule& rule) { return IsOf(rule, label); });
  if (static_cast<size_t>(found) == count) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("check: table inet ", table, " has ", found, " rules for container ",
                                          attachment.container_id, " in place of ", count));
}

absl::Status CollectOwned(const char* table, const std::string& network, const std::vector<cni::Attachment>& valid) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(table));
  std::vector<std::string> labels;
  labels.reserve(valid.size());
  for (const cni::Attachment& held : valid) labels.push_back(AttachmentLabel(network, held));
  Transaction transaction(table);
  for (const Rule& rule : rules) {
    const auto owns = [&](const std::string& label) { return IsOf(rule, label); };
    if (IsOf(rule, NetworkLabel(network)) && std::none_of(labels.begin(), labels.end(), owns))
      transaction.DeleteRule(rule);
  }
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

}  // namespace wherry::nft
