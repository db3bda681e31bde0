#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

struct nlmsghdr;

// Netlink messages that are sent together. The kernel works through all messages of one sendmsg(2) before it returns, so
// a batch costs one round trip however long it is. It does not stop at a failing message: a batch must make sense (or be
// undone as a whole) when any part of it fails.
namespace wherry::netlink {

class Batch {
 public:
  // Starts a message; `what` names it in errors, as "new veth vethab12". Attributes are then put with libmnl, at most
  // kMaxMessage bytes of them, before the next Begin, which may move the buffer.
  nlmsghdr* Begin(uint16_t type, uint16_t flags, absl::string_view what);
  // Room for a fixed header (struct ifinfomsg …) of the message begun last, zeroed.
  void* PutHeader(size_t size);

  bool empty() const { return offsets_.empty(); }
  size_t size() const { return offsets_.size(); }

  static constexpr size_t kMaxMessage = 1024;

 private:
  friend class Socket;
  nlmsghdr* At(size_t index);
  size_t Bytes();

  std::vector<char> buffer_;
  std::vector<size_t> offsets_;
  std::vector<std::string> what_;
};

}  // namespace wherry::netlink
