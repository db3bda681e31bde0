#include "cni/nft/rule.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

namespace wherry::nft {
namespace {

constexpr uint32_t kDestinationPortOffset = 2;  // the same for TCP, UDP and SCTP

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

void LoadMeta(nftnl_rule* rule, uint32_t key) {
  nftnl_expr* meta = Append(rule, "meta");
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void LoadPayload(nftnl_rule* rule, uint32_t base, uint32_t offset, uint32_t size) {
  nftnl_expr* payload = Append(rule, "payload");
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, size);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

void AndMask(nftnl_rule* rule, const void* mask, uint32_t size) {
  const std::array<uint8_t, 16> zeros{};
  nftnl_expr* bits = Append(rule, "bitwise");
  nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_LEN, size);
  nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_MASK, mask, size);
  nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_XOR, zeros.data(), size);
}

void Immediate(nftnl_rule* rule, uint32_t reg, const void* data, size_t size) {
  nftnl_expr* immediate = Append(rule, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, reg);
  nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, data, static_cast<uint32_t>(size));
}

void Verdict(nftnl_rule* rule, int verdict, const char* chain = nullptr) {
  nftnl_expr* immediate = Append(rule, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, static_cast<uint32_t>(verdict));
  if (chain != nullptr) nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain);
}

constexpr uint8_t kOwner = 0x77;  // far above those in use (enum nftnl_udata_rule_types)

struct Wanted {
  uint8_t type;
  std::string text{};
};

int TakeText(const nftnl_udata* field, void* out) {
  auto* wanted = static_cast<Wanted*>(out);
  if (nftnl_udata_type(field) == wanted->type && nftnl_udata_len(field) > 0)
    wanted->text.assign(static_cast<const char*>(nftnl_udata_get(field)), nftnl_udata_len(field) - 1);
  return MNL_CB_OK;
}

std::string UserText(const nftnl_rule& rule, uint8_t type) {
  Wanted wanted{type};
  uint32_t size = 0;
  if (const void* data = nftnl_rule_get_data(&rule, NFTNL_RULE_USERDATA, &size); data != nullptr)
    nftnl_udata_parse(data, size, TakeText, &wanted);
  return std::move(wanted.text);
}

void CompareName(nftnl_rule* rule, const std::string& name, bool equal) {
  std::array<char, IFNAMSIZ> padded{};
  name.copy(padded.data(), padded.size() - 1);
  Compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, padded.data(), padded.size());
}

}  // namespace

nftnl_rule* NewRule(const char* chain) {
  nftnl_rule* rule = nftnl_rule_alloc();
  nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
  nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
  return rule;
}

void SetComment(nftnl_rule* rule, const std::string& comment) { SetCommentAndOwner(rule, comment, ""); }

void SetCommentAndOwner(nftnl_rule* rule, const std::string& comment, const std::string& owner) {
  if (comment.empty() && owner.empty()) return;
  std::unique_ptr<nftnl_udata_buf, decltype(&nftnl_udata_buf_free)> data(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN),
                                                                         nftnl_udata_buf_free);
  if (!comment.empty()) nftnl_udata_put_strz(data.get(), NFTNL_UDATA_RULE_COMMENT, comment.c_str());
  if (!owner.empty()) nftnl_udata_put_strz(data.get(), kOwner, owner.c_str());
  nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
}

std::string CommentOf(const nftnl_rule& rule) { return UserText(rule, NFTNL_UDATA_RULE_COMMENT); }
std::string OwnerOf(const nftnl_rule& rule) { return UserText(rule, kOwner); }

void MatchFamily(nftnl_rule* rule, bool v4) {
  const uint8_t family = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  LoadMeta(rule, NFT_META_NFPROTO);
  Compare(rule, NFT_CMP_EQ, &family, sizeof(family));
}

void MatchAddress(nftnl_rule* rule, Field field, const cni::IpAddress& network, unsigned length, bool equal) {
  const auto size = static_cast<uint32_t>(network.size());
  const uint32_t source = network.is_v4() ? 12 : 8;  // offsets in struct iphdr and struct ipv6hdr
  LoadPayload(rule, NFT_PAYLOAD_NETWORK_HEADER, field == Field::kSource ? source : source + size, size);
  if (length < 8 * size) {
    const std::array<uint8_t, 16> ones{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    // FromBytes would take ones behind zeros for a mapped address; all ones it leaves alone.
    const cni::IpAddress mask = cni::IpAddress::FromBytes(ones.data(), size).Mask(length);
    AndMask(rule, mask.data(), size);
  }
  Compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, network.Mask(length).data(), size);
}

void MatchDestinationPort(nftnl_rule* rule, uint8_t protocol, uint16_t port) {
  const uint16_t wire = htons(port);
  LoadMeta(rule, NFT_META_L4PROTO);
  Compare(rule, NFT_CMP_EQ, &protocol, sizeof(protocol));
  LoadPayload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, sizeof(wire));
  Compare(rule, NFT_CMP_EQ, &wire, sizeof(wire));
}

void MatchLocalDestination(nftnl_rule* rule) {
  const uint32_t local = RTN_LOCAL;
  nftnl_expr* fib = Append(rule, "fib");
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
  Compare(rule, NFT_CMP_EQ, &local, sizeof(local));
}

void MatchTranslatedDestination(nftnl_rule* rule) {
  const uint32_t translated = IPS_DST_NAT, none = 0;
  nftnl_expr* ct = Append(rule, "ct");
  nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, NFT_CT_STATUS);
  nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, NFT_REG_1);
  AndMask(rule, &translated, sizeof(translated));
  Compare(rule, NFT_CMP_NEQ, &none, sizeof(none));
}

void MatchNotLoopbackInterface(nftnl_rule* rule) {
  const uint16_t loopback = ARPHRD_LOOPBACK;
  LoadMeta(rule, NFT_META_IIFTYPE);
  Compare(rule, NFT_CMP_NEQ, &loopback, sizeof(loopback));
}

void MatchInputInterface(nftnl_rule* rule, const std::string& name) {
  LoadMeta(rule, NFT_META_IIFNAME);
  CompareName(rule, name, true);
}

void MatchOutputInterface(nftnl_rule* rule, const std::string& name, bool equal) {
  LoadMeta(rule, NFT_META_OIFNAME);
  CompareName(rule, name, equal);
}

void MatchExtension(nftnl_rule* rule, const char* name, uint32_t revision, absl::string_view data) {
  nftnl_expr* match = Append(rule, "match");
  nftnl_expr_set_str(match, NFTNL_EXPR_MT_NAME, name);
  nftnl_expr_set_u32(match, NFTNL_EXPR_MT_REV, revision);
  // The expression takes the memory over and frees it. Its size is rounded up as XT_ALIGN does.
  const size_t size = (data.size() + 7) / 8 * 8;
  void* copy = std::calloc(1, size);  // NOLINT: owned by the expression, which calls free
  data.copy(static_cast<char*>(copy), data.size());
  nftnl_expr_set(match, NFTNL_EXPR_MT_INFO, copy, static_cast<uint32_t>(size));
}

void MatchSourceMac(nftnl_rule* rule, const void* mac) {
  LoadPayload(rule, NFT_PAYLOAD_LL_HEADER, ETH_ALEN, ETH_ALEN);  // behind the destination's
  Compare(rule, NFT_CMP_EQ, mac, ETH_ALEN);
}

void Count(nftnl_rule* rule) { Append(rule, "counter"); }
void Accept(nftnl_rule* rule) { Verdict(rule, NF_ACCEPT); }
void Drop(nftnl_rule* rule) { Verdict(rule, NF_DROP); }
void Return(nftnl_rule* rule) { Verdict(rule, NFT_RETURN); }
void Goto(nftnl_rule* rule, const char* chain) { Verdict(rule, NFT_GOTO, chain); }
void Jump(nftnl_rule* rule, const char* chain) { Verdict(rule, NFT_JUMP, chain); }
void Masquerade(nftnl_rule* rule) { Append(rule, "masq"); }

void TranslateDestination(nftnl_rule* rule, const cni::IpAddress& address, uint16_t port) {
  const uint16_t wire = htons(port);
  Immediate(rule, NFT_REG_1, address.data(), address.size());
  Immediate(rule, NFT_REG_2, &wire, sizeof(wire));
  nftnl_expr* nat = Append(rule, "nat");
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_FAMILY, address.is_v4() ? NFPROTO_IPV4 : NFPROTO_IPV6);
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_PROTO_MIN, NFT_REG_2);
}

}  // namespace wherry::nft
