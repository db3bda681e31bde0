// Attributes: type, length and payload, each aligned to 4 bytes (linux/netlink.h, struct nlattr).
#include <libmnl/libmnl.h>

#include <cerrno>
#include <cstring>

namespace {

template <typename Number>
Number GetNumber(const nlattr* attr) {
  Number value;
  std::memcpy(&value, mnl_attr_get_payload(attr), sizeof value);  // of 64 bits is not aligned
  return value;
}

nlattr* Tail(nlmsghdr* nlh) {
  return reinterpret_cast<nlattr*>(reinterpret_cast<char*>(nlh) + MNL_ALIGN(nlh->nlmsg_len));
}

// The size of a payload of this type, where it has one.
size_t SizeOf(mnl_attr_data_type type) {
  switch (type) {
    case MNL_TYPE_U8:
      return sizeof(uint8_t);
    case MNL_TYPE_U16:
      return sizeof(uint16_t);
    case MNL_TYPE_U32:
      return sizeof(uint32_t);
    case MNL_TYPE_U64:
    case MNL_TYPE_MSECS:
      return sizeof(uint64_t);
    default:
      return 0;
  }
}

int Fail(int error) {
  errno = error;
  return -1;
}

int ParseRange(const char* begin, const char* end, mnl_attr_cb_t cb, void* data) {
  int result = MNL_CB_OK;
  const auto* attr = reinterpret_cast<const nlattr*>(begin);
  while (mnl_attr_ok(attr, static_cast<int>(end - reinterpret_cast<const char*>(attr)))) {
    result = cb(attr, data);
    if (result <= MNL_CB_STOP) break;
    attr = mnl_attr_next(attr);
  }
  return result;
}

}  // namespace

extern "C" {

uint16_t mnl_attr_get_type(const nlattr* attr) { return attr->nla_type & NLA_TYPE_MASK; }

uint16_t mnl_attr_get_payload_len(const nlattr* attr) { return static_cast<uint16_t>(attr->nla_len - MNL_ATTR_HDRLEN); }

void* mnl_attr_get_payload(const nlattr* attr) {
  return const_cast<char*>(reinterpret_cast<const char*>(attr)) + MNL_ATTR_HDRLEN;
}

uint8_t mnl_attr_get_u8(const nlattr* attr) { return GetNumber<uint8_t>(attr); }
uint16_t mnl_attr_get_u16(const nlattr* attr) { return GetNumber<uint16_t>(attr); }
uint32_t mnl_attr_get_u32(const nlattr* attr) { return GetNumber<uint32_t>(attr); }
uint64_t mnl_attr_get_u64(const nlattr* attr) { return GetNumber<uint64_t>(attr); }
const char* mnl_attr_get_str(const nlattr* attr) { return static_cast<const char*>(mnl_attr_get_payload(attr)); }

bool mnl_attr_ok(const nlattr* attr, int len) {
  return len >= static_cast<int>(sizeof(nlattr)) && attr->nla_len >= sizeof(nlattr) && attr->nla_len <= len;
}

nlattr* mnl_attr_next(const nlattr* attr) {
  return reinterpret_cast<nlattr*>(const_cast<char*>(reinterpret_cast<const char*>(attr)) + MNL_ALIGN(attr->nla_len));
}

int mnl_attr_type_valid(const nlattr* attr, uint16_t max) {
  return mnl_attr_get_type(attr) > max ? Fail(EOPNOTSUPP) : 1;
}

int mnl_attr_validate(const nlattr* attr, mnl_attr_data_type type) {
  if (type < MNL_TYPE_UNSPEC || type >= MNL_TYPE_MAX) return Fail(EINVAL);
  const size_t length = mnl_attr_get_payload_len(attr);
  const char* payload = mnl_attr_get_str(attr);
  if (SizeOf(type) != 0 && length != SizeOf(type)) return Fail(ERANGE);
  switch (type) {
    case MNL_TYPE_FLAG:
      return length > 0 ? Fail(ERANGE) : 0;
    case MNL_TYPE_NUL_STRING:
      if (length == 0) return Fail(ERANGE);
      return payload[length - 1] != '\0' ? Fail(EINVAL) : 0;
    case MNL_TYPE_STRING:
      return length == 0 ? Fail(ERANGE) : 0;
    case MNL_TYPE_NESTED:
      return length != 0 && length < MNL_ATTR_HDRLEN ? Fail(ERANGE) : 0;
    default:
      return 0;
  }
}

int mnl_attr_parse(const nlmsghdr* nlh, unsigned int offset, mnl_attr_cb_t cb, void* data) {
  const auto* begin = static_cast<const char*>(mnl_nlmsg_get_payload_offset(nlh, offset));
  return ParseRange(begin, reinterpret_cast<const char*>(nlh) + MNL_ALIGN(nlh->nlmsg_len), cb, data);
}

int mnl_attr_parse_nested(const nlattr* nested, mnl_attr_cb_t cb, void* data) {
  const char* begin = mnl_attr_get_str(nested);
  return ParseRange(begin, begin + mnl_attr_get_payload_len(nested), cb, data);
}

void mnl_attr_put(nlmsghdr* nlh, uint16_t type, size_t len, const void* data) {
  nlattr* attr = Tail(nlh);
  attr->nla_type = type;
  attr->nla_len = static_cast<uint16_t>(MNL_ATTR_HDRLEN + len);
  auto* payload = static_cast<char*>(mnl_attr_get_payload(attr));
  if (len > 0) std::memcpy(payload, data, len);
  std::memset(payload + len, 0, MNL_ALIGN(len) - len);
  nlh->nlmsg_len += MNL_ALIGN(attr->nla_len);
}

void mnl_attr_put_u8(nlmsghdr* nlh, uint16_t type, uint8_t data) { mnl_attr_put(nlh, type, sizeof data, &data); }
void mnl_attr_put_u16(nlmsghdr* nlh, uint16_t type, uint16_t data) { mnl_attr_put(nlh, type, sizeof data, &data); }
void mnl_attr_put_u32(nlmsghdr* nlh, uint16_t type, uint32_t data) { mnl_attr_put(nlh, type, sizeof data, &data); }
void mnl_attr_put_u64(nlmsghdr* nlh, uint16_t type, uint64_t data) { mnl_attr_put(nlh, type, sizeof data, &data); }
void mnl_attr_put_str(nlmsghdr* nlh, uint16_t type, const char* data) {
  mnl_attr_put(nlh, type, std::strlen(data), data);
}
void mnl_attr_put_strz(nlmsghdr* nlh, uint16_t type, const char* data) {
  mnl_attr_put(nlh, type, std::strlen(data) + 1, data);
}

nlattr* mnl_attr_nest_start(nlmsghdr* nlh, uint16_t type) {
  nlattr* start = Tail(nlh);
  start->nla_type = NLA_F_NESTED | type;
  nlh->nlmsg_len += MNL_ATTR_HDRLEN;
  return start;
}

void mnl_attr_nest_end(nlmsghdr* nlh, nlattr* start) {
  start->nla_len = static_cast<uint16_t>(reinterpret_cast<char*>(Tail(nlh)) - reinterpret_cast<char*>(start));
}

}  // extern "C"
