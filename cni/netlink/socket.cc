#include "cni/netlink/socket.h"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>

#include "cni/netlink/attributes.h"
#include "runtime/sys/status.h"

namespace wherry::netlink {
namespace {

constexpr size_t kReceiveBytes = 32 << 10;  // the most that the kernel puts into one piece of a dump

// The text in the attributes behind struct nlmsgerr. NETLINK_CAP_ACK is on, so the request is not repeated before them.
absl::string_view KernelText(const nlmsghdr* message) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return "";
  absl::string_view text;
  ForEachAttribute(message, sizeof(nlmsgerr), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
      text = GetText(attribute);
  });
  return text;
}

absl::Status ErrorOf(const nlmsghdr* message, const std::string& what) {
  int error = 0;
  if (mnl_nlmsg_get_payload_len(message) >= sizeof(int)) error = *static_cast<int*>(mnl_nlmsg_get_payload(message));
  if (error == 0) return absl::OkStatus();
  const bool full = message->nlmsg_type == NLMSG_ERROR && mnl_nlmsg_get_payload_len(message) >= sizeof(nlmsgerr);
  const absl::string_view text = full ? KernelText(message) : "";
  return sys::Errno(text.empty() ? what : absl::StrCat(what, " (", text, ")"), -error);
}

}  // namespace

void Socket::Closer::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

absl::StatusOr<Socket> Socket::Open() {
  Socket out(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!out.socket_) return sys::Errno("open netlink socket");
  // All three exist since 4.20 at the latest. Strict checks make dumps honour their filters.
  for (int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK}) {
    int on = 1;
    if (mnl_socket_setsockopt(out.socket_.get(), option, &on, sizeof(on)) < 0)
      return sys::Errno(absl::StrCat("set option ", option, " of netlink socket"));
  }
  return out;
}

int Socket::fd() const { return mnl_socket_get_fd(socket_.get()); }

absl::Status Socket::Join(int group) {
  if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
    return sys::Errno(absl::StrCat("join netlink group ", group));
  return absl::OkStatus();
}

absl::Status Socket::Exchange(Batch& batch, const Reply& reply, std::vector<absl::Status>* each) {
  std::vector<absl::Status> outcomes(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) batch.At(i)->nlmsg_seq = sequence_ + static_cast<uint32_t>(i);
  if (batch.empty()) return absl::OkStatus();
  nlmsghdr* last = batch.At(batch.size() - 1);
  if ((last->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) last->nlmsg_flags |= NLM_F_ACK;
  if (mnl_socket_sendto(socket_.get(), batch.buffer_.data(), batch.Bytes()) < 0)
    return sys::Errno(absl::StrCat("send to netlink: ", batch.what_.back()));
  alignas(nlmsghdr) std::array<char, kReceiveBytes> buffer;
  bool done = false;
  while (!done) {
    const ssize_t bytes = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return sys::Errno(absl::StrCat("receive from netlink: ", batch.what_.back()));
    int left = static_cast<int>(bytes);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left) && !done;
         message = mnl_nlmsg_next(message, &left)) {
      ASSIGN_OR_RETURN(done, Take(message, batch, reply, &outcomes));
    }
  }
  sequence_ += static_cast<uint32_t>(batch.size());
  if (each != nullptr) {
    *each = std::move(outcomes);
    return absl::OkStatus();
  }
  for (const absl::Status& outcome : outcomes) RETURN_IF_ERROR(outcome);
  return absl::OkStatus();
}

// True when `message` ends the exchange.
absl::StatusOr<bool> Socket::Take(const nlmsghdr* message, Batch& batch, const Reply& reply,
                                  std::vector<absl::Status>* each) {
  const size_t index = message->nlmsg_seq - sequence_;
  if (index >= batch.size()) return false;  // a leftover of an exchange that was broken off
  if (message->nlmsg_flags & NLM_F_DUMP_INTR)
    return absl::AbortedError(absl::StrCat(batch.what_[index], ": the kernel's table changed under the dump"));
  if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
    (*each)[index] = ErrorOf(message, batch.what_[index]);
    return index + 1 == batch.size();
  }
  if (reply) reply(index, message);
  return false;
}

}  // namespace wherry::netlink
