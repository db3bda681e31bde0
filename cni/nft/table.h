#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

struct mnl_socket;
struct nftnl_chain;
struct nftnl_rule;
struct nlmsghdr;

// nf_tables over netlink (libnftnl builds the messages): list rules, and change a table in one transaction. The kernel
// applies a batch as a whole or not at all, so nobody ever sees half of it and parallel writers need no lock.
namespace wherry::nft {

struct Rule {
  std::string chain, comment;
  uint64_t handle = 0;
};

class Netfilter {
 public:
  // A socket in the calling thread's network namespace.
  static absl::StatusOr<Netfilter> Open();
  // The rules of an inet table; none when there is no such table.
  absl::StatusOr<std::vector<Rule>> ListRules(const std::string& table);

 private:
  friend class Transaction;
  struct Closer {
    void operator()(mnl_socket* socket) const;
  };
  explicit Netfilter(mnl_socket* socket) : socket_(socket) {}
  std::unique_ptr<mnl_socket, Closer> socket_;
};

// Changes of one inet table, in order. Builders take over what they are given.
class Transaction {
 public:
  explicit Transaction(std::string table);
  void EnsureTable();
  void EnsureChain(nftnl_chain* chain);
  void FlushChain(const std::string& chain);
  void AddRule(nftnl_rule* rule);
  void DeleteRule(const Rule& rule);
  bool empty() const { return count_ == 0; }
  // All or nothing.
  absl::Status Commit(Netfilter& netfilter);

 private:
  nlmsghdr* Begin(uint16_t type, uint16_t flags);

  std::string table_;
  std::vector<char> buffer_;
  size_t last_ = 0;  // offset of the message begun last
  uint32_t count_ = 0;
};

}  // namespace wherry::nft
