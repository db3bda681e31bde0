#include "cni/nft/table.h"

#include <endian.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "cni/netlink/attributes.h"
#include "cni/nft/rule.h"
#include "runtime/sys/status.h"

namespace wherry::nft {
namespace {

constexpr size_t kMaxMessage = 4096;  // far above what any rule of ours takes
constexpr uint32_t kFirstSequence = 1;
constexpr size_t kOrdinaryBatch = 100 << 10;  // goes through a socket as it comes
constexpr int kListAttempts = 100;            // each change by others costs one, and those end too

int TakeRule(const nlmsghdr* message, void* out) {
  std::shared_ptr<nftnl_rule> parsed(nftnl_rule_alloc(), nftnl_rule_free);
  if (!parsed || nftnl_rule_nlmsg_parse(message, parsed.get()) < 0) return MNL_CB_OK;
  Rule rule;
  rule.chain = nftnl_rule_get_str(parsed.get(), NFTNL_RULE_CHAIN);
  rule.handle = nftnl_rule_get_u64(parsed.get(), NFTNL_RULE_HANDLE);
  rule.comment = CommentOf(*parsed);
  rule.owner = OwnerOf(*parsed);
  rule.parsed = std::move(parsed);
  static_cast<std::vector<Rule>*>(out)->push_back(std::move(rule));
  return MNL_CB_OK;
}

}  // namespace

void Netfilter::Closer::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

absl::StatusOr<Netfilter> Netfilter::Open() {
  Netfilter out(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!out.socket_) return sys::Errno("open netfilter socket");
  return out;
}

absl::Status Netfilter::Dump(const std::string& table, uint8_t family, std::vector<Rule>* out) {
  alignas(nlmsghdr) std::array<char, 32 << 10> buffer;
  std::unique_ptr<nftnl_rule, decltype(&nftnl_rule_free)> filter(nftnl_rule_alloc(), nftnl_rule_free);
  if (!filter) return absl::ResourceExhaustedError("nftnl_rule_alloc");
  nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETRULE, family, NLM_F_DUMP, kFirstSequence);
  nftnl_rule_set_str(filter.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_nlmsg_build_payload(request, filter.get());
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) return sys::Errno("list nftables rules");
  int more = MNL_CB_OK;
  while (more > MNL_CB_STOP) {
    const ssize_t bytes = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (bytes < 0) return sys::Errno("list nftables rules");
    more = mnl_cb_run(buffer.data(), static_cast<size_t>(bytes), kFirstSequence, 0, TakeRule, out);
  }
  if (more < 0 && errno != ENOENT) return sys::Errno("list nftables rules");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Rule>> Netfilter::ListRules(const std::string& table, uint8_t family) {
  absl::Status status;
  for (int attempt = 0; attempt < kListAttempts; ++attempt) {
    std::vector<Rule> out;
    status = Dump(table, family, &out);
    if (status.ok()) return out;
    if (!sys::IsErrno(status, EINTR)) return status;
    // The rest of the broken list would come before the next one, so that one gets a socket of its own.
    ASSIGN_OR_RETURN(*this, Open());
  }
  return status;
}

absl::StatusOr<uint32_t> Netfilter::Generation() {
  alignas(nlmsghdr) std::array<char, 4096> buffer;
  const nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETGEN, AF_UNSPEC, 0, kFirstSequence);
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) return sys::Errno("ask for nftables' state");
  const ssize_t bytes = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
  if (bytes < static_cast<ssize_t>(sizeof(nlmsghdr))) return sys::Errno("ask for nftables' state");
  const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer.data());
  uint32_t out = 0;
  if (answer->nlmsg_type == NLMSG_ERROR) return absl::InternalError("nftables does not tell its state");
  netlink::ForEachAttribute(answer, sizeof(nfgenmsg), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == NFTA_GEN_ID) out = be32toh(mnl_attr_get_u32(attribute));
  });
  return out;
}

Transaction::Transaction(std::string table, uint8_t family)
    : table_(std::move(table)), family_(family), buffer_(2 * kMaxMessage) {
  nftnl_batch_begin(buffer_.data(), 0);
}

nlmsghdr* Transaction::Begin(uint16_t type, uint16_t flags) {
  const auto* previous = reinterpret_cast<const nlmsghdr*>(buffer_.data() + last_);
  last_ += MNL_ALIGN(previous->nlmsg_len);
  buffer_.resize(last_ + 2 * kMaxMessage);
  return nftnl_nlmsg_build_hdr(buffer_.data() + last_, type, family_, flags, kFirstSequence + count_++);
}

void Transaction::EnsureTable() {
  std::unique_ptr<nftnl_table, decltype(&nftnl_table_free)> table(nftnl_table_alloc(), nftnl_table_free);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, table_.c_str());
  nftnl_table_nlmsg_build_payload(Begin(NFT_MSG_NEWTABLE, NLM_F_CREATE), table.get());
}

void Transaction::EnsureChain(const char* name, std::optional<Hook> hook) {
  std::unique_ptr<nftnl_chain, decltype(&nftnl_chain_free)> chain(nftnl_chain_alloc(), nftnl_chain_free);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table_.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name);
  if (hook) {
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, hook->type);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook->number);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, hook->priority);
  }
  nftnl_chain_nlmsg_build_payload(Begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE), chain.get());
}

void Transaction::FlushChain(const std::string& chain) { DeleteRule({chain, "", 0}); }

void Transaction::DeleteChain(const std::string& name) {
  std::unique_ptr<nftnl_chain, decltype(&nftnl_chain_free)> chain(nftnl_chain_alloc(), nftnl_chain_free);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table_.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
  nftnl_chain_nlmsg_build_payload(Begin(NFT_MSG_DELCHAIN, 0), chain.get());
}

void Transaction::RequireGeneration(uint32_t generation) {
  auto* begin = reinterpret_cast<nlmsghdr*>(buffer_.data());
  if (last_ == 0) mnl_attr_put_u32(begin, NFNL_BATCH_GENID, htobe32(generation));
}

void Transaction::PutRule(nftnl_rule* rule, uint16_t flags) {
  std::unique_ptr<nftnl_rule, decltype(&nftnl_rule_free)> owned(rule, nftnl_rule_free);
  nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table_.c_str());
  nftnl_rule_nlmsg_build_payload(Begin(NFT_MSG_NEWRULE, flags), rule);
}

void Transaction::AddRule(nftnl_rule* rule) { PutRule(rule, NLM_F_CREATE | NLM_F_APPEND); }
void Transaction::InsertRule(nftnl_rule* rule) { PutRule(rule, NLM_F_CREATE); }

// Without a handle the kernel deletes all rules of the chain.
void Transaction::DeleteRule(const Rule& rule) {
  std::unique_ptr<nftnl_rule, decltype(&nftnl_rule_free)> filter(nftnl_rule_alloc(), nftnl_rule_free);
  nftnl_rule_set_str(filter.get(), NFTNL_RULE_TABLE, table_.c_str());
  nftnl_rule_set_str(filter.get(), NFTNL_RULE_CHAIN, rule.chain.c_str());
  if (rule.handle != 0) nftnl_rule_set_u64(filter.get(), NFTNL_RULE_HANDLE, rule.handle);
  nftnl_rule_nlmsg_build_payload(Begin(NFT_MSG_DELRULE, 0), filter.get());
}

absl::Status Transaction::Commit(Netfilter& netfilter) {
  auto* last = reinterpret_cast<nlmsghdr*>(buffer_.data() + last_);
  last->nlmsg_flags |= NLM_F_ACK;  // the end of a batch cannot ask for one before 6.10
  const size_t end = last_ + MNL_ALIGN(last->nlmsg_len);
  const nlmsghdr* closing = nftnl_batch_end(buffer_.data() + end, kFirstSequence + count_);
  mnl_socket* socket = netfilter.socket_.get();
  if (const int room = static_cast<int>(2 * buffer_.size()); buffer_.size() > kOrdinaryBatch)
    setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
  if (mnl_socket_sendto(socket, buffer_.data(), end + closing->nlmsg_len) < 0) return sys::Errno("change nftables");
  alignas(nlmsghdr) std::array<char, 8192> answers;
  // A failure comes with the number of its message, or that of the batch's beginning (0), and then ends the reading.
  while (true) {
    const ssize_t bytes = mnl_socket_recvfrom(socket, answers.data(), answers.size());
    if (bytes < 0) return sys::Errno("change nftables");
    if (mnl_cb_run(answers.data(), static_cast<size_t>(bytes), 0, 0, nullptr, nullptr) < 0)
      return sys::Errno(absl::StrCat("change nftables table ", table_));
    if (reinterpret_cast<const nlmsghdr*>(answers.data())->nlmsg_seq == kFirstSequence + count_ - 1)
      return absl::OkStatus();
  }
}

}  // namespace wherry::nft
