#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

struct mnl_socket {
  int fd;
  sockaddr_nl address;
};

extern "C" {

mnl_socket* mnl_socket_open(int bus) { return mnl_socket_open2(bus, 0); }

mnl_socket* mnl_socket_open2(int bus, int flags) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | flags, bus);
  if (fd < 0) return nullptr;
  return std::make_unique<mnl_socket>(mnl_socket{fd, {}}).release();
}

int mnl_socket_bind(mnl_socket* nl, unsigned int groups, pid_t pid) {
  nl->address = {};
  nl->address.nl_family = AF_NETLINK;
  nl->address.nl_groups = groups;
  nl->address.nl_pid = static_cast<uint32_t>(pid);
  socklen_t length = sizeof nl->address;
  if (::bind(nl->fd, reinterpret_cast<const sockaddr*>(&nl->address), length) != 0) return -1;
  return ::getsockname(nl->fd, reinterpret_cast<sockaddr*>(&nl->address), &length);  // the port that the kernel chose
}

int mnl_socket_close(mnl_socket* nl) {
  const std::unique_ptr<mnl_socket> owned(nl);
  return ::close(nl->fd);
}

int mnl_socket_get_fd(const mnl_socket* nl) { return nl->fd; }
unsigned int mnl_socket_get_portid(const mnl_socket* nl) { return nl->address.nl_pid; }

ssize_t mnl_socket_sendto(const mnl_socket* nl, const void* req, size_t siz) {
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  return ::sendto(nl->fd, req, siz, 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
}

ssize_t mnl_socket_recvfrom(const mnl_socket* nl, void* buf, size_t siz) {
  sockaddr_nl from;
  iovec into = {buf, siz};
  msghdr message = {};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &into;
  message.msg_iovlen = 1;
  const ssize_t received = ::recvmsg(nl->fd, &message, 0);
  if (received < 0) return received;
  errno = (message.msg_flags & MSG_TRUNC) != 0 ? ENOSPC : message.msg_namelen != sizeof from ? EINVAL : 0;
  return errno == 0 ? received : -1;
}

int mnl_socket_setsockopt(const mnl_socket* nl, int type, void* buf, socklen_t len) {
  return ::setsockopt(nl->fd, SOL_NETLINK, type, buf, len);
}

}  // extern "C"
