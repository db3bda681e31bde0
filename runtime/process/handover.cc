#include "runtime/process/handover.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/process/report.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::process {
namespace {

constexpr size_t kMaxFds = 4;  // the mount namespace, the user; with a terminal its master and slave
constexpr size_t kMaxUser = 2 << 20;

struct Message {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
  msghdr header{};
  Message() {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
  }
};

// As a file: 65536 groups are more than a message of a socket takes. A home has no control bytes.
absl::StatusOr<sys::UniqueFd> WriteUser(const security::ResolvedUser& user) {
  ASSIGN_OR_RETURN(sys::UniqueFd file, MakeReport());
  RETURN_IF_ERROR(sys::WriteAll(file.get(), absl::StrCat(user.home, "\n", user.user.SerializeAsString())));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys::Errno("lseek of the user");
  return file;
}

absl::StatusOr<security::ResolvedUser> ReadUser(int file) {
  ASSIGN_OR_RETURN(const std::string text, sys::ReadAll(file, kMaxUser));
  security::ResolvedUser user;
  const size_t end = text.find('\n');
  if (end == std::string::npos || !user.user.ParseFromString(text.substr(end + 1)))
    return absl::InternalError("the helper sent no user");
  user.home = text.substr(0, end);
  return user;
}

}  // namespace

absl::StatusOr<Handover> Handover::Make() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return sys::Errno("socketpair");
  return Handover{sys::UniqueFd(ends[0]), sys::UniqueFd(ends[1])};
}

absl::Status SendTree(int socket, const Tree& tree) {
  ASSIGN_OR_RETURN(const sys::UniqueFd user, WriteUser(tree.user));
  std::array<int, kMaxFds> fds = {tree.mounts.get(), user.get(), -1, -1};
  size_t count = 2;
  if (tree.pty) {
    fds = {tree.mounts.get(), user.get(), tree.pty->master.get(), tree.pty->slave.get()};
    count = kMaxFds;
  }
  Message message;
  message.header.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* control = CMSG_FIRSTHDR(&message.header);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(control), fds.data(), count * sizeof(int));
  if (::sendmsg(socket, &message.header, MSG_NOSIGNAL) != 1) return sys::Errno("sendmsg of the mount namespace");
  return absl::OkStatus();
}

absl::StatusOr<Tree> ReceiveTree(int socket) {
  Message message;
  ssize_t n;
  do {
    n = ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return sys::Errno("recvmsg of the mount namespace");
  const cmsghdr* control = CMSG_FIRSTHDR(&message.header);
  if (n == 0 || control == nullptr || control->cmsg_type != SCM_RIGHTS)
    return absl::AbortedError("the helper sent no mount namespace");
  const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  std::array<int, kMaxFds> fds = {-1, -1, -1, -1};
  memcpy(fds.data(), CMSG_DATA(control), std::min(count, kMaxFds) * sizeof(int));
  Tree tree;
  tree.mounts.reset(fds[0]);
  const sys::UniqueFd user(fds[1]);
  if (count == kMaxFds) tree.pty = rootfs::Pty{sys::UniqueFd(fds[2]), sys::UniqueFd(fds[3])};
  ASSIGN_OR_RETURN(tree.user, ReadUser(user.get()));
  return tree;
}

}  // namespace wherry::process
