#include "cni/nft/conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "cni/netlink/attributes.h"
#include "runtime/sys/status.h"

namespace wherry::nft {
namespace {

constexpr uint16_t kGet = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
constexpr uint16_t kDelete = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
constexpr int kAttempts = 4;  // to list a table that changes all the time: what is new is right anyway

using Socket = std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)>;

struct Tuple {
  cni::IpAddress source, destination;
  uint8_t protocol = 0;
  uint16_t port = 0;  // destination
};

struct Flow {
  uint8_t family = 0;
  Tuple original, reply;
  std::vector<char> name;  // attributes that name the flow when it is to be deleted, as they came
};

void ParseTuple(const nlattr* nest, Tuple* out) {
  netlink::ForEachNested(nest, [&](const nlattr* part) {
    const bool ip = mnl_attr_get_type(part) == CTA_TUPLE_IP;
    if (!ip && mnl_attr_get_type(part) != CTA_TUPLE_PROTO) return;
    netlink::ForEachNested(part, [&](const nlattr* attribute) {
      const int type = mnl_attr_get_type(attribute);
      const void* payload = mnl_attr_get_payload(attribute);
      const size_t size = mnl_attr_get_payload_len(attribute);
      if (ip && (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC))
        out->source = cni::IpAddress::FromBytes(payload, size);
      if (ip && (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST))
        out->destination = cni::IpAddress::FromBytes(payload, size);
      if (!ip && type == CTA_PROTO_NUM && size == 1) out->protocol = mnl_attr_get_u8(attribute);
      if (!ip && type == CTA_PROTO_DST_PORT && size == 2) out->port = ntohs(mnl_attr_get_u16(attribute));
    });
  });
}

Flow ParseFlow(const nlmsghdr* message) {
  Flow out;
  out.family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family;
  netlink::ForEachAttribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
    const int type = mnl_attr_get_type(attribute);
    if (type == CTA_TUPLE_ORIG) ParseTuple(attribute, &out.original);
    if (type == CTA_TUPLE_REPLY) ParseTuple(attribute, &out.reply);
    if (type != CTA_TUPLE_ORIG && type != CTA_ID && type != CTA_ZONE) return;
    const char* bytes = reinterpret_cast<const char*>(attribute);
    out.name.insert(out.name.end(), bytes, bytes + MNL_ALIGN(attribute->nla_len));
  });
  return out;
}

bool IsMeant(const Flow& flow, const Flows& wanted) {
  if (flow.original.protocol != IPPROTO_UDP) return false;
  const bool translated = flow.reply.source != flow.original.destination;
  if (translated && wanted.containers.contains(flow.reply.source)) return true;
  if (!translated && flow.reply.destination != flow.original.source) return false;
  return std::any_of(wanted.host_ports.begin(), wanted.host_ports.end(), [&](const auto& host) {
    const auto& [address, port] = host;
    return flow.original.port == port && (!address.valid() || address == flow.original.destination);
  });
}

struct Search {
  const Flows& wanted;
  std::vector<Flow> found;
};

int TakeFlow(const nlmsghdr* message, void* data) {
  auto* search = static_cast<Search*>(data);
  Flow flow = ParseFlow(message);
  if (IsMeant(flow, search->wanted)) search->found.push_back(std::move(flow));
  return MNL_CB_OK;
}

nlmsghdr* PutMessage(char* buffer, uint16_t type, uint16_t flags, uint8_t family) {
  nlmsghdr* message = mnl_nlmsg_put_header(buffer);
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  message->nlmsg_seq = 1;
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  return message;
}

// Sends one request and reads its answers; errno tells of a failure.
bool Ask(mnl_socket* socket, const nlmsghdr* request, mnl_cb_t take, void* data) {
  alignas(nlmsghdr) std::array<char, 32 << 10> buffer;
  if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) return false;
  while (true) {
    const ssize_t bytes = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (bytes < 0) return false;
    const int more = mnl_cb_run(buffer.data(), static_cast<size_t>(bytes), 1, 0, take, data);
    if (more <= MNL_CB_STOP) return more == MNL_CB_STOP;
  }
}

absl::Status Delete(const Flow& flow) {
  Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC), mnl_socket_close);
  if (!socket) return sys::Errno("open netfilter socket");
  alignas(nlmsghdr) std::array<char, 1024> buffer{};
  nlmsghdr* message = PutMessage(buffer.data(), kDelete, NLM_F_ACK, flow.family);
  if (message->nlmsg_len + flow.name.size() > buffer.size()) return sys::Errno("name a tracked flow", EMSGSIZE);
  std::copy(flow.name.begin(), flow.name.end(), buffer.data() + message->nlmsg_len);
  message->nlmsg_len += static_cast<uint32_t>(flow.name.size());
  if (Ask(socket.get(), message, nullptr, nullptr) || errno == ENOENT) return absl::OkStatus();
  return sys::Errno("delete a tracked flow");
}

}  // namespace

absl::Status ForgetUdp(const Flows& flows) {
  if (flows.host_ports.empty() && flows.containers.empty()) return absl::OkStatus();
  Search search{flows, {}};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC), mnl_socket_close);
    if (!socket) return sys::Errno("open netfilter socket");
    alignas(nlmsghdr) std::array<char, 64> buffer{};
    if (Ask(socket.get(), PutMessage(buffer.data(), kGet, NLM_F_DUMP, AF_UNSPEC), TakeFlow, &search)) break;
    if (errno == EINVAL || errno == EOPNOTSUPP) return absl::OkStatus();  // no such subsystem
    if (errno != EINTR) return sys::Errno("list tracked flows");
  }
  for (const Flow& flow : search.found) RETURN_IF_ERROR(Delete(flow));
  return absl::OkStatus();
}

}  // namespace wherry::nft
