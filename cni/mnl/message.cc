// Messages: a header with the length of all, another header of the message's family, attributes (linux/netlink.h, struct nlmsghdr).
#include <libmnl/libmnl.h>

#include <cstring>
#include <memory>

// Messages one after the other in a buffer, of which the last may reach beyond the limit: the buffer has room for two limits.
struct mnl_nlmsg_batch {
  char* begin;
  size_t limit;
  size_t bytes;  // of the messages before the current one
  bool full;
};

extern "C" {

nlmsghdr* mnl_nlmsg_put_header(void* buf) {
  auto* nlh = static_cast<nlmsghdr*>(buf);
  *nlh = {};
  nlh->nlmsg_len = MNL_NLMSG_HDRLEN;
  return nlh;
}

void* mnl_nlmsg_put_extra_header(nlmsghdr* nlh, size_t size) {
  char* header = reinterpret_cast<char*>(nlh) + nlh->nlmsg_len;
  nlh->nlmsg_len += MNL_ALIGN(size);
  return std::memset(header, 0, MNL_ALIGN(size));
}

size_t mnl_nlmsg_get_payload_len(const nlmsghdr* nlh) { return nlh->nlmsg_len - MNL_NLMSG_HDRLEN; }

void* mnl_nlmsg_get_payload(const nlmsghdr* nlh) { return mnl_nlmsg_get_payload_offset(nlh, 0); }

void* mnl_nlmsg_get_payload_offset(const nlmsghdr* nlh, size_t offset) {
  return const_cast<char*>(reinterpret_cast<const char*>(nlh)) + MNL_NLMSG_HDRLEN + MNL_ALIGN(offset);
}

bool mnl_nlmsg_ok(const nlmsghdr* nlh, int len) {
  return len >= static_cast<int>(sizeof(nlmsghdr)) && nlh->nlmsg_len >= sizeof(nlmsghdr) &&
         static_cast<int>(nlh->nlmsg_len) <= len;
}

nlmsghdr* mnl_nlmsg_next(const nlmsghdr* nlh, int* len) {
  *len -= static_cast<int>(MNL_ALIGN(nlh->nlmsg_len));
  return reinterpret_cast<nlmsghdr*>(const_cast<char*>(reinterpret_cast<const char*>(nlh)) + MNL_ALIGN(nlh->nlmsg_len));
}

mnl_nlmsg_batch* mnl_nlmsg_batch_start(void* buf, size_t limit) {
  return std::make_unique<mnl_nlmsg_batch>(mnl_nlmsg_batch{static_cast<char*>(buf), limit, 0, false}).release();
}

void mnl_nlmsg_batch_stop(mnl_nlmsg_batch* b) { const std::unique_ptr<mnl_nlmsg_batch> owned(b); }

bool mnl_nlmsg_batch_next(mnl_nlmsg_batch* b) {
  const size_t bytes = b->bytes + static_cast<nlmsghdr*>(mnl_nlmsg_batch_current(b))->nlmsg_len;
  b->full = bytes > b->limit;
  if (b->full) return false;
  b->bytes = bytes;
  return true;
}

size_t mnl_nlmsg_batch_size(mnl_nlmsg_batch* b) { return b->bytes; }
void* mnl_nlmsg_batch_head(mnl_nlmsg_batch* b) { return b->begin; }
void* mnl_nlmsg_batch_current(mnl_nlmsg_batch* b) { return b->begin + b->bytes; }
bool mnl_nlmsg_batch_is_empty(mnl_nlmsg_batch* b) { return b->bytes == 0; }

}  // extern "C"
