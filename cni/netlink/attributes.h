#pragma once

#include <libmnl/libmnl.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

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

// What an attribute holds; 0 or nothing when it is shorter than that.
template <typename Number>
Number Get(const nlattr* attribute) {
  Number value = 0;
  if (mnl_attr_get_payload_len(attribute) >= sizeof(value))
    std::memcpy(&value, mnl_attr_get_payload(attribute), sizeof(value));
  return value;
}

inline absl::string_view GetText(const nlattr* attribute) {
  const auto* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
  return {text, ::strnlen(text, mnl_attr_get_payload_len(attribute))};
}

}  // namespace wherry::netlink
