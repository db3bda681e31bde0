#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cni/iptables/rule.h"

// iptables(8) and ip6tables(8) as programs, for configurations that ask for iptables by name: only the program knows whether this
// host's rules are nf_tables' or those of iptables-legacy. Each change is an exec, bounded in time and output.
namespace wherry::iptables {

class Program {
 public:
  // NotAvailable (50) when it is in none of the directories of PATH.
  static absl::StatusOr<Program> Find(bool v4);

  // In order; stops at the first failure. What is there already, or already gone, is OK.
  absl::Status Apply(const std::string& table, const std::vector<Change>& changes) const;
  // NotFound unless all are there.
  absl::Status Check(const std::string& table, const std::vector<Rule>& rules) const;
  // The chain's rules as "-A CHAIN …", one a line; none when there is no such chain.
  absl::StatusOr<std::vector<std::string>> List(const std::string& table, const std::string& chain) const;
  // With its rules. OK when there is none.
  absl::Status DeleteChain(const std::string& table, const std::string& chain) const;

 private:
  struct Answer {
    bool ok = false;
    std::string output;
    absl::Status failure;  // names the command and has the program's own words
  };
  explicit Program(std::string path) : path_(std::move(path)) {}
  absl::StatusOr<Answer> Run(const std::string& table, std::vector<std::string> arguments) const;
  absl::StatusOr<bool> Has(const std::string& table, const Rule& rule) const;
  absl::Status EnsureChain(const std::string& table, const std::string& chain) const;

  std::string path_;
};

}  // namespace wherry::iptables
