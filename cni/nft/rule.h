#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "api/cni/address.h"

struct nftnl_rule;

// The pieces that rules are made of, in the order in which the kernel works through them: matches that go on or end the
// rule, then one statement. Tables of IP packets serve both families (inet), so a rule that looks at an address looks at the family
// first. A new rule belongs to the caller until Transaction::AddRule takes it.
namespace wherry::nft {

nftnl_rule* NewRule(const char* chain);
// The comment, which is where a rule's owner is found again (label.h).
void SetComment(nftnl_rule* rule, const std::string& comment);
// An owner too, in an attribute that other programs do not know and pass over: where the comment must be as another plugin or
// iptables(8) writes it. Either may be empty.
void SetCommentAndOwner(nftnl_rule* rule, const std::string& comment, const std::string& owner);
std::string CommentOf(const nftnl_rule& rule);
std::string OwnerOf(const nftnl_rule& rule);

enum class Field { kSource, kDestination };

void MatchFamily(nftnl_rule* rule, bool v4);
// The first `length` bits of the packet's address are those of `network`; or are not, with `equal` false.
void MatchAddress(nftnl_rule* rule, Field field, const cni::IpAddress& network, unsigned length, bool equal = true);
void MatchDestinationPort(nftnl_rule* rule, uint8_t protocol, uint16_t port);  // IPPROTO_*, host's byte order
// The destination is an address of this host (fib type local): what only passes through is no business of ours.
void MatchLocalDestination(nftnl_rule* rule);
// The connection's destination has been translated, by whomever.
void MatchTranslatedDestination(nftnl_rule* rule);
void MatchNotLoopbackInterface(nftnl_rule* rule);
void MatchInputInterface(nftnl_rule* rule, const std::string& name);
void MatchOutputInterface(nftnl_rule* rule, const std::string& name, bool equal);
// An xtables match (nft_compat), as iptables-nft writes those that nf_tables has no expression of its own for.
void MatchExtension(nftnl_rule* rule, const char* name, uint32_t revision, absl::string_view data);
// The frame comes from this hardware address of six bytes; only for tables of family bridge.
void MatchSourceMac(nftnl_rule* rule, const void* mac);

void Count(nftnl_rule* rule);
void Accept(nftnl_rule* rule);
void Drop(nftnl_rule* rule);
void Return(nftnl_rule* rule);
void Goto(nftnl_rule* rule, const char* chain);
void Jump(nftnl_rule* rule, const char* chain);
void Masquerade(nftnl_rule* rule);
void TranslateDestination(nftnl_rule* rule, const cni::IpAddress& address, uint16_t port);

}  // namespace wherry::nft
