#pragma once

#include <string>
#include <vector>

#include "api/cni/address.h"

// Rules in the language of iptables(8), as far as plugins use it. Two back ends write them: nf_tables messages in the form that
// Debian's iptables (iptables-nft) gives them, and the program, when a configuration asks for it by name.
namespace wherry::iptables {

struct Rule {
  std::string chain{};
  cni::IpPrefix source{}, destination{};  // none: any
  bool not_destination = false;
  std::string in{}, out{};  // interfaces; empty: any
  bool not_out = false;
  bool answers_only = false;  // -m conntrack --ctstate RELATED,ESTABLISHED
  std::string comment{};
  std::string target{};  // a chain, or ACCEPT, DROP, RETURN, MASQUERADE
  bool operator==(const Rule&) const = default;
};

struct Change {
  enum Kind {
    kChain,   // the chain `rule.chain` exists
    kFirst,   // the rule is there; put before all others if it was not
    kLast,    // the same, behind all others
    kDelete,  // the rule is not there
  };
  Kind kind;
  Rule rule;
};

// Everything behind "-A CHAIN" of iptables(8).
std::vector<std::string> ArgumentsOf(const Rule& rule);

}  // namespace wherry::iptables
