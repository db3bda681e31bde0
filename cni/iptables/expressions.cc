#include "cni/iptables/expressions.h"

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_conntrack.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "cni/nft/rule.h"

namespace wherry::iptables {
namespace {

constexpr char kConntrack[] = "conntrack";
constexpr uint32_t kConntrackRevision = 3;
// Offsets of source and destination in struct iphdr and struct ipv6hdr.
constexpr uint32_t kSource4 = 12, kDestination4 = 16, kSource6 = 8, kDestination6 = 24;

xt_conntrack_mtinfo3 Answers() {
  xt_conntrack_mtinfo3 out{};
  out.match_flags = XT_CONNTRACK_STATE;
  out.state_mask = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) | XT_CONNTRACK_STATE_BIT(IP_CT_RELATED);
  return out;
}

absl::string_view Bytes(const xt_conntrack_mtinfo3& info) {
  return {reinterpret_cast<const char*>(&info), sizeof(info)};
}

bool IsWhole(const cni::IpPrefix& prefix) {
  return !prefix.address.valid() || prefix.length == 8 * prefix.address.size();
}

// Walks the expressions of a rule: a load says what the comparison behind it is about.
struct Reader {
  enum Loaded { kNothing, kSource, kDestination, kIn, kOut } loaded = kNothing;
  Rule rule{};
  bool known = true;

  void Payload(const nftnl_expr* e) {
    const uint32_t offset = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET);
    const uint32_t size = nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_LEN);
    const bool v4 = size == 4;
    known = known && nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER && (v4 || size == 16);
    loaded = kNothing;
    if (offset == (v4 ? kSource4 : kSource6)) loaded = kSource;
    if (offset == (v4 ? kDestination4 : kDestination6)) loaded = kDestination;
  }
  void Meta(const nftnl_expr* e) {
    const uint32_t key = nftnl_expr_get_u32(e, NFTNL_EXPR_META_KEY);
    loaded = key == NFT_META_IIFNAME ? kIn : key == NFT_META_OIFNAME ? kOut : kNothing;
  }
  void Compare(const nftnl_expr* e) {
    uint32_t size = 0;
    const void* data = nftnl_expr_get(e, NFTNL_EXPR_CMP_DATA, &size);
    const bool equal = nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_OP) == NFT_CMP_EQ;
    const auto* text = static_cast<const char*>(data);
    const std::string name(text, strnlen(text, size));
    const cni::IpAddress address = cni::IpAddress::FromBytes(data, size);
    const cni::IpPrefix alone{address, static_cast<uint8_t>(8 * address.size())};
    known = known && loaded != kNothing && (equal || loaded == kOut);
    if (loaded == kSource) rule.source = alone;
    if (loaded == kDestination) rule.destination = alone;
    if (loaded == kIn) rule.in = name;
    if (loaded == kOut) rule.out = name, rule.not_out = !equal;
    loaded = kNothing;
  }
  void Match(const nftnl_expr* e) {
    uint32_t size = 0;
    const void* info = nftnl_expr_get(e, NFTNL_EXPR_MT_INFO, &size);
    const std::string name = nftnl_expr_get_str(e, NFTNL_EXPR_MT_NAME);
    const xt_conntrack_mtinfo3 answers = Answers();
    if (name == "comment") {  // other versions of iptables keep a comment so
      const auto* text = static_cast<const char*>(info);
      rule.comment.assign(text, strnlen(text, size));
      return;
    }
    rule.answers_only = true;
    known = known && name == kConntrack && nftnl_expr_get_u32(e, NFTNL_EXPR_MT_REV) == kConntrackRevision &&
            size >= sizeof(answers) &&
            absl::string_view(static_cast<const char*>(info), sizeof(answers)) == Bytes(answers);
  }
  void Immediate(const nftnl_expr* e) {
    switch (static_cast<int>(nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT))) {
      case NF_ACCEPT:
        rule.target = "ACCEPT";
        break;
      case NF_DROP:
        rule.target = "DROP";
        break;
      case NFT_RETURN:
        rule.target = "RETURN";
        break;
      case NFT_JUMP:
        rule.target = nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN);
        break;
      default:
        known = false;
    }
  }
};

int TakeExpression(nftnl_expr* expression, void* data) {
  auto* reader = static_cast<Reader*>(data);
  const std::string name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
  if (name == "payload") {
    reader->Payload(expression);
  } else if (name == "meta") {
    reader->Meta(expression);
  } else if (name == "cmp") {
    reader->Compare(expression);
  } else if (name == "match") {
    reader->Match(expression);
  } else if (name == "immediate") {
    reader->Immediate(expression);
  } else if (name != "counter") {
    reader->known = false;
  }
  return MNL_CB_OK;
}

void WriteVerdict(nftnl_rule* out, const std::string& target) {
  if (target == "ACCEPT") {
    nft::Accept(out);
  } else if (target == "DROP") {
    nft::Drop(out);
  } else if (target == "RETURN") {
    nft::Return(out);
  } else {
    nft::Jump(out, target.c_str());
  }
}

}  // namespace

absl::StatusOr<nftnl_rule*> Write(const Rule& rule, const std::string& owner) {
  if (!IsWhole(rule.source) || !IsWhole(rule.destination) || rule.not_destination || rule.target == "MASQUERADE")
    return absl::UnimplementedError(absl::StrCat("a rule of chain ", rule.chain, " needs iptables"));
  nftnl_rule* out = nft::NewRule(rule.chain.c_str());
  const auto address = [&](nft::Field field, const cni::IpPrefix& prefix) {
    if (prefix.address.valid()) nft::MatchAddress(out, field, prefix.address, prefix.length);
  };
  address(nft::Field::kSource, rule.source);
  address(nft::Field::kDestination, rule.destination);
  if (!rule.in.empty()) nft::MatchInputInterface(out, rule.in);
  if (!rule.out.empty()) nft::MatchOutputInterface(out, rule.out, !rule.not_out);
  if (rule.answers_only) {
    const xt_conntrack_mtinfo3 answers = Answers();
    nft::MatchExtension(out, kConntrack, kConntrackRevision, Bytes(answers));
  }
  nft::Count(out);
  WriteVerdict(out, rule.target);
  nft::SetCommentAndOwner(out, rule.comment, owner);
  return out;
}

std::optional<Rule> Read(const nftnl_rule& rule) {
  Reader reader;
  const char* chain = nftnl_rule_get_str(&rule, NFTNL_RULE_CHAIN);
  nftnl_expr_foreach(const_cast<nftnl_rule*>(&rule), TakeExpression, &reader);
  if (!reader.known || chain == nullptr) return std::nullopt;
  reader.rule.chain = chain;
  if (const std::string comment = nft::CommentOf(rule); !comment.empty()) reader.rule.comment = comment;
  return reader.rule;
}

}  // namespace wherry::iptables
