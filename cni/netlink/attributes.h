#pragma once

#include <libmnl/libmnl.h>

#include <cstddef>

// Loops over the attributes of a message or of a nest. libmnl's own macros for this do not compile as C++.
namespace wherry::netlink {

template <typename Each>
void ForEachIn(const void* payload, size_t bytes, const Each& each) {
  const auto* attribute = static_cast<const nlattr*>(payload);
  const char* end = static_cast<const char*>(payload) + bytes;
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    each(attribute);
    attribute = mnl_attr_next(attribute);
  }
}

// The attributes behind a fixed header of `header` bytes.
template <typename Each>
void ForEachAttribute(const nlmsghdr* message, size_t header, const Each& each) {
  const size_t bytes = mnl_nlmsg_get_payload_len(message);
  if (bytes >= header) ForEachIn(mnl_nlmsg_get_payload_offset(message, header), bytes - MNL_ALIGN(header), each);
}

template <typename Each>
void ForEachNested(const nlattr* nest, const Each& each) {
  ForEachIn(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), each);
}

}  // namespace wherry::netlink
