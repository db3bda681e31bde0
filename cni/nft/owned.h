#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/config.h"
#include "cni/nft/table.h"

// What tables of attachments' rules have in common: finding the rules of an attachment or of a network by their comments
// (label.h), and taking them away.
namespace wherry::nft {

bool IsOf(const Rule& rule, const std::string& label);
// Adds the deletion of all rules of the attachment to `transaction`.
void DeleteOwned(const std::vector<Rule>& rules, const std::string& network, const cni::Attachment& attachment,
                 Transaction* transaction);
// Deletes the rules of the attachment from a table. OK when there is none.
absl::Status DeleteOwned(const char* table, const std::string& network, const cni::Attachment& attachment);
// NotFound unless the attachment has `count` rules in the table.
absl::Status CheckOwned(const char* table, const std::string& network, const cni::Attachment& attachment, size_t count);
// Deletes the rules of the network that belong to none of `valid`.
absl::Status CollectOwned(const char* table, const std::string& network, const std::vector<cni::Attachment>& valid);

}  // namespace wherry::nft
