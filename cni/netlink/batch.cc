#include "cni/netlink/batch.h"

#include <libmnl/libmnl.h>

namespace wherry::netlink {

nlmsghdr* Batch::Begin(uint16_t type, uint16_t flags, absl::string_view what) {
  const size_t used = Bytes();
  buffer_.resize(used + kMaxMessage);
  offsets_.push_back(used);
  what_.emplace_back(what);
  nlmsghdr* message = mnl_nlmsg_put_header(buffer_.data() + used);
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  return message;
}

void* Batch::PutHeader(size_t size) { return mnl_nlmsg_put_extra_header(At(offsets_.size() - 1), size); }

nlmsghdr* Batch::At(size_t index) { return reinterpret_cast<nlmsghdr*>(buffer_.data() + offsets_[index]); }

size_t Batch::Bytes() {
  if (offsets_.empty()) return 0;
  return offsets_.back() + MNL_ALIGN(At(offsets_.size() - 1)->nlmsg_len);
}

}  // namespace wherry::netlink
