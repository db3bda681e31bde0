#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cni/netlink/batch.h"

struct mnl_socket;
struct nlmsghdr;

// A NETLINK_ROUTE socket. It belongs to the network namespace its thread was in when it was opened, and stays there: a
// process can hold one in the host's namespace and one in a container's and use both without switching.
namespace wherry::netlink {

class Socket {
 public:
  // In the calling thread's network namespace. netlink(7); the kernel's own words on errors (extended ack, 4.12).
  static absl::StatusOr<Socket> Open();

  // Called for each reply with the index of its request in the batch.
  using Reply = std::function<void(size_t index, const nlmsghdr* message)>;

  // Sends `batch` in one call and reads until the kernel has answered the last message. Only that one is asked for an
  // acknowledgement, since failures are reported anyway. A dump may only be the last message.
  // Returns the first failure ("WHAT: strerror (kernel's text)", with the errno as sys::IsErrno sees it). With `each`, the
  // outcome of every message is stored there instead, and only a broken exchange is returned.
  absl::Status Exchange(Batch& batch, const Reply& reply = nullptr, std::vector<absl::Status>* each = nullptr);

  // Subscribes to an RTNLGRP_* group.
  absl::Status Join(int group);
  int fd() const;

 private:
  struct Closer {
    void operator()(mnl_socket* socket) const;
  };
  explicit Socket(mnl_socket* socket) : socket_(socket) {}
  absl::StatusOr<bool> Take(const nlmsghdr* message, Batch& batch, const Reply& reply, std::vector<absl::Status>* each);

  std::unique_ptr<mnl_socket, Closer> socket_;
  uint32_t sequence_ = 1;
};

}  // namespace wherry::netlink
