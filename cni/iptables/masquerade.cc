#include "cni/iptables/masquerade.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cni/iptables/program.h"
#include "cni/iptables/rule.h"
#include "cni/nft/label.h"
#include "runtime/sys/status.h"

namespace wherry::iptables {
namespace {

constexpr char kNat[] = "nat", kPostrouting[] = "POSTROUTING";
constexpr char kMulticast4[] = "224.0.0.0/4", kMulticast6[] = "ff00::/8";

std::string ChainOf(const std::string& network, const std::string& container) {
  return absl::StrCat("CNI-", nft::Hash(absl::StrCat(network, container), 24));
}

std::string CommentStart(const std::string& network) { return absl::StrCat("name: \"", network, "\" id: \""); }

Rule Entrance(const std::string& network, const std::string& container, const cni::IpPrefix& source) {
  return {.chain = kPostrouting,
          .source = source,
          .comment = absl::StrCat(CommentStart(network), container, "\""),
          .target = ChainOf(network, container)};
}

std::vector<Rule> RulesFor(const std::string& network, const std::string& container, const cni::IpPrefix& address) {
  const Rule entrance =
      Entrance(network, container, {address.address, static_cast<uint8_t>(8 * address.address.size())});
  const cni::IpPrefix multicast = cni::IpPrefix::Parse(address.address.is_v4() ? kMulticast4 : kMulticast6).value();
  return {{.chain = entrance.target,
           .destination = {address.Network(), address.length},
           .comment = entrance.comment,
           .target = "ACCEPT"},
          {.chain = entrance.target,
           .destination = multicast,
           .not_destination = true,
           .comment = entrance.comment,
           .target = "MASQUERADE"},
          entrance};
}

std::vector<cni::IpPrefix> OfFamily(const std::vector<cni::IpPrefix>& addresses, bool v4) {
  std::vector<cni::IpPrefix> out;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(out),
               [&](const cni::IpPrefix& prefix) { return prefix.address.is_v4() == v4; });
  return out;
}

// A rule of POSTROUTING as "-S" prints it, if it is an entrance of ours. Ids are safe names, so nothing in them is escaped.
struct Listed {
  std::string container;
  Rule rule;
};
std::vector<Listed> Entrances(const std::vector<std::string>& lines, const std::string& network) {
  const std::string start = absl::StrReplaceAll(CommentStart(network), {{"\"", "\\\""}});
  std::vector<Listed> out;
  for (const std::string& line : lines) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    const size_t comment = line.find(start);
    if (words.size() < 4 || words[2] != "-s" || comment == std::string::npos) continue;
    const absl::StatusOr<cni::IpPrefix> source = cni::IpPrefix::Parse(words[3]);
    const size_t begin = comment + start.size(), end = line.find("\\\"", begin);
    if (!source.ok() || end == std::string::npos) continue;
    const std::string container = line.substr(begin, end - begin);
    if (words.back() == ChainOf(network, container)) out.push_back({container, Entrance(network, container, *source)});
  }
  return out;
}

// For DEL and GC. A host that has lost its iptables has no rules to delete either.
template <typename Chosen>
absl::Status DeleteWhere(const std::string& network, const Chosen& chosen) {
  absl::Status first;
  for (const bool v4 : {true, false}) {
    const absl::StatusOr<Program> program = Program::Find(v4);
    if (!program.ok()) continue;
    ASSIGN_OR_RETURN(const std::vector<std::string> lines, program->List(kNat, kPostrouting));
    std::set<std::string> chains;
    for (const Listed& listed : Entrances(lines, network)) {
      if (!chosen(listed.container)) continue;
      chains.insert(listed.rule.target);
      first.Update(program->Apply(kNat, {{Change::kDelete, listed.rule}}));
    }
    for (const std::string& chain : chains) first.Update(program->DeleteChain(kNat, chain));
  }
  return first;
}

}  // namespace

absl::Status AddMasquerade(const std::string& network, const cni::Attachment& attachment,
                           const std::vector<cni::IpPrefix>& addresses) {
  for (const bool v4 : {true, false}) {
    const std::vector<cni::IpPrefix> mine = OfFamily(addresses, v4);
    if (mine.empty()) continue;
    ASSIGN_OR_RETURN(const Program program, Program::Find(v4));
    std::vector<Change> changes = {{Change::kChain, {.chain = ChainOf(network, attachment.container_id)}}};
    for (const cni::IpPrefix& address : mine) {
      for (Rule& rule : RulesFor(network, attachment.container_id, address))
        changes.push_back({Change::kLast, std::move(rule)});
    }
    RETURN_IF_ERROR(program.Apply(kNat, changes));
  }
  return absl::OkStatus();
}

absl::Status DeleteMasquerade(const std::string& network, const cni::Attachment& attachment) {
  RETURN_IF_ERROR(
      DeleteWhere(network, [&](const std::string& container) { return container == attachment.container_id; }));
  // An ADD that was killed between chain and entrance has left a chain that nothing leads to.
  for (const bool v4 : {true, false}) {
    if (const absl::StatusOr<Program> program = Program::Find(v4); program.ok())
      RETURN_IF_ERROR(program->DeleteChain(kNat, ChainOf(network, attachment.container_id)));
  }
  return absl::OkStatus();
}

absl::Status CheckMasquerade(const std::string& network, const cni::Attachment& attachment,
                             const std::vector<cni::IpPrefix>& addresses) {
  for (const cni::IpPrefix& address : addresses) {
    ASSIGN_OR_RETURN(const Program program, Program::Find(address.address.is_v4()));
    RETURN_IF_ERROR(program.Check(kNat, RulesFor(network, attachment.container_id, address)));
  }
  return absl::OkStatus();
}

absl::Status CollectMasquerade(const std::string& network, const std::vector<cni::Attachment>& valid) {
  return DeleteWhere(network, [&](const std::string& container) {
    return std::none_of(valid.begin(), valid.end(),
                        [&](const cni::Attachment& held) { return held.container_id == container; });
  });
}

}  // namespace wherry::iptables
