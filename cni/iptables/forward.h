#pragma once

#include <string>
#include <vector>

#include "api/cni/address.h"
#include "cni/iptables/rule.h"

// What the firewall plugin wants in the table "filter", rule by rule the reference plugin's: packets of a container pass the host's
// FORWARD chain, those to it only as answers; an administrator's chain comes before that.
namespace wherry::iptables {

inline constexpr char kFilter[] = "filter";
inline constexpr char kForward[] = "CNI-FORWARD";

enum class IngressPolicy {
  kOpen,
  kSameBridge,  // from containers of other bridges with a policy: no
  kIsolated,    // from containers of the same bridge neither
};

struct Forwarding {
  std::vector<cni::IpAddress> addresses;  // of the container
  std::string admin_chain = "CNI-ADMIN";
  IngressPolicy policy = IngressPolicy::kOpen;
  std::string bridge;  // for the policies but kOpen
};

bool Serves(const Forwarding& wanted, bool v4);
// What all containers share, and stays when they go: chains, the ways into them, a bridge's policy.
std::vector<Change> SharedChanges(const Forwarding& wanted);
// The container's own, of one family.
std::vector<Rule> OwnRules(const Forwarding& wanted, bool v4);

}  // namespace wherry::iptables
