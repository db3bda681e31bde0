#pragma once

#include <linux/netfilter.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

struct mnl_socket;
struct nftnl_rule;
struct nlmsghdr;

// nf_tables over netlink (libnftnl builds the messages): list rules, and change a table in one transaction. The kernel
// applies a batch as a whole or not at all, so nobody ever sees half of it and parallel writers need no lock.
namespace wherry::nft {

struct Rule {
  std::string chain, comment;
  uint64_t handle = 0;
  std::string owner{};                         // see SetCommentAndOwner
  std::shared_ptr<const nftnl_rule> parsed{};  // as listed
};

// Where a base chain sits in the way of packets.
struct Hook {
  const char* type;  // "nat", "filter"
  uint32_t number;   // NF_INET_*
  int32_t priority;
};

class Netfilter {
 public:
  // A socket in the calling thread's network namespace.
  static absl::StatusOr<Netfilter> Open();
  // The rules of a table of `family` (NFPROTO_*); none when there is no such table. Others may change rules meanwhile: the kernel then breaks
  // the list off, and it is read again.
  absl::StatusOr<std::vector<Rule>> ListRules(const std::string& table, uint8_t family = NFPROTO_INET);
  // A number that is another after each change of any table.
  absl::StatusOr<uint32_t> Generation();

 private:
  friend class Transaction;
  struct Closer {
    void operator()(mnl_socket* socket) const;
  };
  explicit Netfilter(mnl_socket* socket) : socket_(socket) {}
  absl::Status Dump(const std::string& table, uint8_t family, std::vector<Rule>* out);
  std::unique_ptr<mnl_socket, Closer> socket_;
};

// Changes of one table, in order. AddRule takes over the rule.
class Transaction {
 public:
  explicit Transaction(std::string table, uint8_t family = NFPROTO_INET);
  void EnsureTable();
  void EnsureChain(const char* name, std::optional<Hook> hook = std::nullopt);
  void FlushChain(const std::string& chain);
  void DeleteChain(const std::string& chain);  // must be empty
  void AddRule(nftnl_rule* rule);
  void InsertRule(nftnl_rule* rule);  // before all others of its chain
  void DeleteRule(const Rule& rule);
  // The transaction fails with ERESTART when there has been a change since Generation() gave this. To be called before the first change.
  void RequireGeneration(uint32_t generation);
  bool empty() const { return count_ == 0; }
  // All or nothing.
  absl::Status Commit(Netfilter& netfilter);

 private:
  nlmsghdr* Begin(uint16_t type, uint16_t flags);
  void PutRule(nftnl_rule* rule, uint16_t flags);

  std::string table_;
  uint8_t family_;
  std::vector<char> buffer_;
  size_t last_ = 0;  // offset of the message begun last
  uint32_t count_ = 0;
};

}  // namespace wherry::nft
