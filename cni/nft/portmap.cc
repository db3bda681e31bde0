#include "cni/nft/portmap.h"

#include <linux/netfilter.h>

#include <algorithm>

#include "cni/nft/label.h"
#include "cni/nft/owned.h"
#include "cni/nft/rule.h"
#include "cni/nft/table.h"
#include "runtime/sys/status.h"

// A connection to a host port is turned round where it comes in (prerouting) or starts (output), but only if its
// destination is an address of this host: a pod that talks to port 80 of somebody else goes there. Mappings of one address
// are looked at before those of all.
//
// Two kinds of connections would get answers that miss the way back through us, so they are masqueraded too: those from
// the container's own network (its neighbours reach each other by the bridge, and would see an answer from an address
// they never spoke to; the container itself, to its own host port, likewise), and those from 127.0.0.0/8. For the latter the
// kernel must route loopback addresses out of an interface (route_localnet), which opens services that listen on 127.0.0.1
// only to everybody on that link (CVE-2020-8558). So the table drops what comes from any wire for 127.0.0.0/8, before
// connection tracking. IPv6 has no such switch: ::1 stays in.
namespace wherry::nft {
namespace {

constexpr char kTable[] = "wherry_portmap";
constexpr char kOne[] = "one_address", kAll[] = "all_addresses";  // mappings with and without a host IP
constexpr char kPrerouting[] = "prerouting", kOutput[] = "output", kPostrouting[] = "postrouting", kGuard[] = "guard";
constexpr size_t kFixedRules = 6;
constexpr Hook kPreroutingHook{"nat", NF_INET_PRE_ROUTING, -100};  // NF_IP_PRI_NAT_DST
constexpr Hook kOutputHook{"nat", NF_INET_LOCAL_OUT, -100};        // NF_IP_PRI_NAT_DST
constexpr Hook kPostroutingHook{"nat", NF_INET_POST_ROUTING, 99};  // right before NF_IP_PRI_NAT_SRC
constexpr Hook kGuardHook{"filter", NF_INET_PRE_ROUTING, -300};    // NF_IP_PRI_RAW
constexpr unsigned kLoopbackLength = 8;

cni::IpAddress Loopback() { return cni::IpAddress::Parse("127.0.0.0").value(); }

void AddEntrance(const char* chain, Transaction* transaction) {
  for (const char* target : {kOne, kAll}) {
    nftnl_rule* rule = NewRule(chain);
    MatchLocalDestination(rule);
    Jump(rule, target);
    transaction->AddRule(rule);
  }
}

void SetUpTable(Transaction* transaction) {
  transaction->EnsureTable();
  transaction->EnsureChain(kOne);
  transaction->EnsureChain(kAll);
  transaction->EnsureChain(kPrerouting, kPreroutingHook);
  transaction->EnsureChain(kOutput, kOutputHook);
  transaction->EnsureChain(kPostrouting, kPostroutingHook);
  transaction->EnsureChain(kGuard, kGuardHook);
  for (const char* chain : {kPrerouting, kOutput, kGuard}) transaction->FlushChain(chain);
  AddEntrance(kPrerouting, transaction);
  const cni::IpAddress own = cni::IpAddress::Parse("::1").value();
  nftnl_rule* stay = NewRule(kOutput);
  MatchFamily(stay, false);
  MatchAddress(stay, Field::kDestination, own, 128);
  Return(stay);
  transaction->AddRule(stay);
  AddEntrance(kOutput, transaction);
  nftnl_rule* guard = NewRule(kGuard);
  MatchNotLoopbackInterface(guard);
  MatchFamily(guard, true);
  MatchAddress(guard, Field::kDestination, Loopback(), kLoopbackLength);
  Drop(guard);
  transaction->AddRule(guard);
}

bool IsFixed(const Rule& rule) { return rule.chain == kPrerouting || rule.chain == kOutput || rule.chain == kGuard; }

nftnl_rule* Translation(const PortMapping& mapping, const cni::IpAddress& container) {
  const bool all = !mapping.host_ip.valid() || mapping.host_ip.IsZero();
  nftnl_rule* rule = NewRule(all ? kAll : kOne);
  MatchFamily(rule, container.is_v4());
  if (!all) MatchAddress(rule, Field::kDestination, mapping.host_ip, static_cast<unsigned>(8 * mapping.host_ip.size()));
  MatchDestinationPort(rule, mapping.protocol, mapping.host_port);
  TranslateDestination(rule, container, mapping.container_port);
  return rule;
}

// Of translated connections to the container, from `source` or, with none, from everywhere.
nftnl_rule* Hiding(const cni::IpAddress& container, const cni::IpPrefix& source) {
  nftnl_rule* rule = NewRule(kPostrouting);
  MatchFamily(rule, container.is_v4());
  if (source.address.valid()) MatchAddress(rule, Field::kSource, source.address, source.length);
  MatchAddress(rule, Field::kDestination, container, static_cast<unsigned>(8 * container.size()));
  MatchTranslatedDestination(rule);
  Masquerade(rule);
  return rule;
}

std::vector<nftnl_rule*> RulesOf(const PortMap& map) {
  std::vector<nftnl_rule*> out;
  for (const cni::IpPrefix& address : map.addresses) {
    const bool v4 = address.address.is_v4();
    const size_t before = out.size();
    for (const PortMapping& mapping : map.mappings) {
      if (mapping.Serves(v4)) out.push_back(Translation(mapping, address.address));
    }
    if (out.size() == before) continue;
    if (map.hide_all) {
      out.push_back(Hiding(address.address, {}));
    } else if (map.hide_near) {
      out.push_back(Hiding(address.address, address));
      if (v4) out.push_back(Hiding(address.address, {Loopback(), kLoopbackLength}));
    }
  }
  return out;
}

// Without building them: for CHECK.
size_t CountRules(const PortMap& map) {
  size_t count = 0;
  for (const cni::IpPrefix& address : map.addresses) {
    const bool v4 = address.address.is_v4();
    const auto served = std::count_if(map.mappings.begin(), map.mappings.end(),
                                      [&](const PortMapping& mapping) { return mapping.Serves(v4); });
    if (served == 0) continue;
    count += static_cast<size_t>(served);
    if (map.hide_all) {
      count += 1;
    } else if (map.hide_near) {
      count += v4 ? 2 : 1;
    }
  }
  return count;
}

}  // namespace

absl::Status AddPortMap(const std::string& network, const cni::Attachment& attachment, const PortMap& map) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable));
  Transaction transaction(kTable);
  if (static_cast<size_t>(std::count_if(rules.begin(), rules.end(), IsFixed)) != kFixedRules) SetUpTable(&transaction);
  DeleteOwned(rules, network, attachment, &transaction);
  const std::string comment = Comment(network, attachment);
  for (nftnl_rule* rule : RulesOf(map)) {
    SetComment(rule, comment);
    transaction.AddRule(rule);
  }
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

absl::Status DeletePortMap(const std::string& network, const cni::Attachment& attachment) {
  return DeleteOwned(kTable, network, attachment);
}

absl::Status CheckPortMap(const std::string& network, const cni::Attachment& attachment, const PortMap& map) {
  return CheckOwned(kTable, network, attachment, CountRules(map));
}

absl::Status CollectPortMaps(const std::string& network, const std::vector<cni::Attachment>& valid) {
  return CollectOwned(kTable, network, valid);
}

}  // namespace wherry::nft
