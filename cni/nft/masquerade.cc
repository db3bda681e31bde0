#include "cni/nft/masquerade.h"

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cni/nft/label.h"
#include "cni/nft/table.h"
#include "runtime/sys/status.h"

namespace wherry::nft {
namespace {

constexpr char kTable[] = "cni_plugins_masquerade";
constexpr char kChecks[] = "masq_checks";
constexpr char kPostrouting[] = "postrouting";
constexpr size_t kPostroutingRules = 3;
constexpr int kSourceNatPriority = 100;  // NF_IP_PRI_NAT_SRC

nftnl_rule* NewRule(const char* chain) {
  nftnl_rule* rule = nftnl_rule_alloc();
  nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
  nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
  return rule;
}

nftnl_expr* Append(nftnl_rule* rule, const char* name) {
  nftnl_expr* expression = nftnl_expr_alloc(name);
  nftnl_rule_add_expr(rule, expression);
  return expression;
}

void Compare(nftnl_rule* rule, uint32_t operation, const void* data, size_t size) {
  nftnl_expr* compare = Append(rule, "cmp");
  nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, operation);
  nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, data, static_cast<uint32_t>(size));
}

// The table serves both families, so a rule first looks which one the packet is of.
void MatchFamily(nftnl_rule* rule, bool v4) {
  const uint8_t family = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  nftnl_expr* meta = Append(rule, "meta");
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, NFT_META_NFPROTO);
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
  Compare(rule, NFT_CMP_EQ, &family, sizeof(family));
}

enum class Field { kSource, kDestination };

// Compares the first `length` bits of an address of the packet with those of `network`.
void MatchAddress(nftnl_rule* rule, Field field, uint32_t operation, const cni::IpAddress& network, unsigned length) {
  const bool v4 = network.is_v4();
  const auto size = static_cast<uint32_t>(network.size());
  const uint32_t source = v4 ? 12 : 8;  // offsets in struct iphdr and struct ipv6hdr
  nftnl_expr* payload = Append(rule, "payload");
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, field == Field::kSource ? source : source + size);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, size);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
  if (length < 8 * size) {
    const std::array<uint8_t, 16> ones{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const std::array<uint8_t, 16> zeros{};
    // FromBytes would take ones behind zeros for a mapped address; all ones it leaves alone.
    const cni::IpAddress mask = cni::IpAddress::FromBytes(ones.data(), size).Mask(length);
    nftnl_expr* bits = Append(rule, "bitwise");
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_LEN, size);
    nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_MASK, mask.data(), size);
    nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_XOR, zeros.data(), size);
  }
  Compare(rule, operation, network.Mask(length).data(), size);
}

void Verdict(nftnl_rule* rule, int verdict, const char* chain = nullptr) {
  nftnl_expr* immediate = Append(rule, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, static_cast<uint32_t>(verdict));
  if (chain != nullptr) nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain);
}

nftnl_rule* LeaveMulticast(const char* prefix) {
  const cni::IpPrefix net = cni::IpPrefix::Parse(prefix).value();
  nftnl_rule* rule = NewRule(kPostrouting);
  MatchFamily(rule, net.address.is_v4());
  MatchAddress(rule, Field::kDestination, NFT_CMP_EQ, net.address, net.length);
  Verdict(rule, NFT_RETURN);
  return rule;
}

nftnl_rule* Masquerade(const cni::IpPrefix& address, const std::string& comment) {
  nftnl_rule* rule = NewRule(kChecks);
  MatchFamily(rule, address.address.is_v4());
  MatchAddress(rule, Field::kSource, NFT_CMP_EQ, address.address, static_cast<unsigned>(8 * address.address.size()));
  MatchAddress(rule, Field::kDestination, NFT_CMP_NEQ, address.address, address.length);
  Append(rule, "masq");
  std::unique_ptr<nftnl_udata_buf, decltype(&nftnl_udata_buf_free)> data(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN),
                                                                         nftnl_udata_buf_free);
  nftnl_udata_put_strz(data.get(), NFTNL_UDATA_RULE_COMMENT, comment.c_str());
  nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
  return rule;
}

void SetUpTable(Transaction* transaction) {
  transaction->EnsureTable();
  nftnl_chain* checks = nftnl_chain_alloc();
  nftnl_chain_set_str(checks, NFTNL_CHAIN_NAME, kChecks);
  transaction->EnsureChain(checks);
  nftnl_chain* postrouting = nftnl_chain_alloc();
  nftnl_chain_set_str(postrouting, NFTNL_CHAIN_NAME, kPostrouting);
  nftnl_chain_set_str(postrouting, NFTNL_CHAIN_TYPE, "nat");
  nftnl_chain_set_u32(postrouting, NFTNL_CHAIN_HOOKNUM, NF_INET_POST_ROUTING);
  nftnl_chain_set_s32(postrouting, NFTNL_CHAIN_PRIO, kSourceNatPriority);
  transaction->EnsureChain(postrouting);
  transaction->FlushChain(kPostrouting);
  transaction->AddRule(LeaveMulticast("224.0.0.0/4"));
  transaction->AddRule(LeaveMulticast("ff00::/8"));
  nftnl_rule* jump = NewRule(kPostrouting);
  Verdict(jump, NFT_GOTO, kChecks);
  transaction->AddRule(jump);
}

bool IsOf(const Rule& rule, const std::string& label) {
  return rule.chain == kChecks && absl::StartsWith(rule.comment, label);
}

}  // namespace

absl::Status AddMasquerade(const std::string& network, const cni::Attachment& attachment,
                           const std::vector<cni::IpPrefix>& addresses) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable));
  Transaction transaction(kTable);
  const auto fixed =
      std::count_if(rules.begin(), rules.end(), [](const Rule& rule) { return rule.chain == kPostrouting; });
  if (static_cast<size_t>(fixed) != kPostroutingRules) SetUpTable(&transaction);
  for (const Rule& rule : rules) {
    if (IsOf(rule, AttachmentLabel(network, attachment))) transaction.DeleteRule(rule);
  }
  for (const cni::IpPrefix& address : addresses) transaction.AddRule(Masquerade(address, Comment(network, attachment)));
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

absl::Status DeleteMasquerade(const std::string& network, const cni::Attachment& attachment) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable));
  Transaction transaction(kTable);
  for (const Rule& rule : rules) {
    if (IsOf(rule, AttachmentLabel(network, attachment))) transaction.DeleteRule(rule);
  }
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

absl::Status CheckMasquerade(const std::string& network, const cni::Attachment& attachment, size_t count) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable));
  const std::string label = AttachmentLabel(network, attachment);
  const auto found = std::count_if(rules.begin(), rules.end(), [&](const Rule& rule) { return IsOf(rule, label); });
  if (static_cast<size_t>(found) == count) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("check: table inet ", kTable, " has ", found,
                                          " masquerading rules for container ", attachment.container_id,
                                          " in place of ", count));
}

absl::Status CollectMasquerade(const std::string& network, const std::vector<cni::Attachment>& valid) {
  ASSIGN_OR_RETURN(Netfilter netfilter, Netfilter::Open());
  ASSIGN_OR_RETURN(const std::vector<Rule> rules, netfilter.ListRules(kTable));
  Transaction transaction(kTable);
  for (const Rule& rule : rules) {
    const auto owns = [&](const cni::Attachment& held) { return IsOf(rule, AttachmentLabel(network, held)); };
    if (IsOf(rule, NetworkLabel(network)) && std::none_of(valid.begin(), valid.end(), owns))
      transaction.DeleteRule(rule);
  }
  return transaction.empty() ? absl::OkStatus() : transaction.Commit(netfilter);
}

}  // namespace wherry::nft
