#include "cni/netlink/address.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "cni/netlink/attributes.h"
#include "runtime/sys/status.h"

namespace wherry::netlink {
namespace {

void PutAddress(Batch& batch, nlmsghdr* message, int index, const cni::IpPrefix& address) {
  auto* header = static_cast<ifaddrmsg*>(batch.PutHeader(sizeof(ifaddrmsg)));
  header->ifa_family = static_cast<uint8_t>(address.address.family());
  header->ifa_prefixlen = address.length;
  header->ifa_index = static_cast<uint32_t>(index);
  mnl_attr_put(message, IFA_LOCAL, address.address.size(), address.address.data());
  mnl_attr_put(message, IFA_ADDRESS, address.address.size(), address.address.data());
}

// IFA_LOCAL is the interface's own address where both are there (IPv4, point to point); IPv6 has IFA_ADDRESS only.
cni::IpPrefix ParseAddress(const nlmsghdr* message) {
  cni::IpPrefix out;
  const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  out.length = header->ifa_prefixlen;
  ForEachAttribute(message, sizeof(ifaddrmsg), [&](const nlattr* attribute) {
    const int type = mnl_attr_get_type(attribute);
    if (type == IFA_LOCAL || (type == IFA_ADDRESS && !out.address.valid()))
      out.address = cni::IpAddress::FromBytes(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
  });
  return out;
}

void PutAddressWith(Batch& batch, int index, const cni::IpPrefix& address, uint32_t flags) {
  nlmsghdr* message = batch.Begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL,
                                  absl::StrCat("add address ", address.ToString(), " to link ", index));
  PutAddress(batch, message, index, address);
  if (address.address.is_v4() && address.length < 31) {
    const cni::IpAddress broadcast = address.address.Fill(address.length);
    mnl_attr_put(message, IFA_BROADCAST, broadcast.size(), broadcast.data());
  }
  if (flags != 0) mnl_attr_put_u32(message, IFA_FLAGS, flags);
}

}  // namespace

void PutNewAddress(Batch& batch, int index, const cni::IpPrefix& address, bool detect_duplicates) {
  PutAddressWith(batch, index, address, address.address.is_v4() || detect_duplicates ? 0 : IFA_F_NODAD);
}

void PutNewAddressAlone(Batch& batch, int index, const cni::IpPrefix& address) {
  PutAddressWith(batch, index, address, IFA_F_NOPREFIXROUTE | (address.address.is_v4() ? 0U : IFA_F_NODAD));
}

void PutDeleteAddress(Batch& batch, int index, const cni::IpPrefix& address) {
  nlmsghdr* message =
      batch.Begin(RTM_DELADDR, 0, absl::StrCat("delete address ", address.ToString(), " of link ", index));
  PutAddress(batch, message, index, address);
}

namespace {

absl::Status ForEachAddress(Socket& socket, int index, absl::FunctionRef<void(const nlmsghdr*)> act) {
  Batch batch;
  batch.Begin(RTM_GETADDR, NLM_F_DUMP, absl::StrCat("list addresses of link ", index));
  static_cast<ifaddrmsg*>(batch.PutHeader(sizeof(ifaddrmsg)))->ifa_index = static_cast<uint32_t>(index);
  return socket.Exchange(batch, [&](size_t, const nlmsghdr* message) {
    if (message->nlmsg_type == RTM_NEWADDR) act(message);
  });
}

}  // namespace

absl::StatusOr<std::vector<cni::IpPrefix>> GetAddresses(Socket& socket, int index) {
  std::vector<cni::IpPrefix> out;
  RETURN_IF_ERROR(
      ForEachAddress(socket, index, [&](const nlmsghdr* message) { out.push_back(ParseAddress(message)); }));
  return out;
}

absl::StatusOr<Detection> GetDetection(Socket& socket, int index) {
  Detection out;
  RETURN_IF_ERROR(ForEachAddress(socket, index, [&](const nlmsghdr* message) {
    const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    if ((header->ifa_flags & IFA_F_DADFAILED) != 0)
      out.duplicate = ParseAddress(message).ToString();
    else if ((header->ifa_flags & IFA_F_TENTATIVE) != 0)
      out.pending = ParseAddress(message).ToString();
  }));
  return out;
}

}  // namespace wherry::netlink
