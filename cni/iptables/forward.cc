#include "cni/iptables/forward.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace wherry::iptables {
namespace {

constexpr char kBuiltin[] = "FORWARD";
constexpr char kStage1[] = "CNI-ISOLATION-STAGE-1", kStage2[] = "CNI-ISOLATION-STAGE-2";

Change Chain(const char* name) { return {Change::kChain, {.chain = name}}; }

// The first stage asks whence, the second one whither. Both end with a return, which new rules go before.
void AddPolicy(const Forwarding& wanted, std::vector<Change>* out) {
  const bool isolated = wanted.policy == IngressPolicy::kIsolated;
  const std::string comment =
      absl::StrCat("CNI firewall plugin rules (ingressPolicy: ", isolated ? "isolated" : "same-bridge", ")");
  const std::string& bridge = wanted.bridge;
  out->insert(out->end(), {Chain(kStage1), Chain(kStage2)});
  // The returns carry one comment for both policies: a second one would stand before the other policy's rules.
  const std::string common = "CNI firewall plugin rules (ingressPolicy: same-bridge)";
  out->push_back({Change::kLast, {.chain = kStage1, .comment = common, .target = "RETURN"}});
  out->push_back({Change::kLast, {.chain = kStage2, .comment = common, .target = "RETURN"}});
  if (isolated)
    out->push_back(
        {Change::kFirst, {.chain = kStage1, .in = bridge, .out = bridge, .comment = comment, .target = "DROP"}});
  out->push_back(
      {Change::kFirst,
       {.chain = kStage1, .in = bridge, .out = bridge, .not_out = true, .comment = comment, .target = kStage2}});
  out->push_back({Change::kFirst, {.chain = kStage2, .out = bridge, .comment = comment, .target = "DROP"}});
  out->push_back({Change::kFirst, {.chain = kBuiltin, .comment = common, .target = kStage1}});
}

}  // namespace

bool Serves(const Forwarding& wanted, bool v4) {
  return std::any_of(wanted.addresses.begin(), wanted.addresses.end(),
                     [&](const cni::IpAddress& address) { return address.is_v4() == v4; });
}

std::vector<Change> SharedChanges(const Forwarding& wanted) {
  std::vector<Change> out = {Chain(kBuiltin), Chain(kForward), Chain(wanted.admin_chain.c_str())};
  out.push_back({Change::kFirst,
                 {.chain = kForward, .comment = "CNI firewall plugin admin overrides", .target = wanted.admin_chain}});
  out.push_back({Change::kFirst, {.chain = kBuiltin, .comment = "CNI firewall plugin rules", .target = kForward}});
  // Behind the one above, so that it comes before it in the chain.
  if (wanted.policy != IngressPolicy::kOpen) AddPolicy(wanted, &out);
  return out;
}

std::vector<Rule> OwnRules(const Forwarding& wanted, bool v4) {
  std::vector<Rule> out;
  for (const cni::IpAddress& address : wanted.addresses) {
    if (address.is_v4() != v4) continue;
    const cni::IpPrefix alone{address, static_cast<uint8_t>(8 * address.size())};
    out.push_back({.chain = kForward, .destination = alone, .answers_only = true, .target = "ACCEPT"});
    out.push_back({.chain = kForward, .source = alone, .target = "ACCEPT"});
  }
  return out;
}

}  // namespace wherry::iptables
