// The slave comes from TIOCGPTPEER (Linux 4.13): by name, /dev/pts/N could be something else by the time it is opened
// (CVE-2025-52565).
#include "runtime/rootfs/pty.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>

#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::rootfs {

absl::StatusOr<Pty> OpenPty(int devpts, uint32_t columns, uint32_t rows) {
  Pty pty;
  ASSIGN_OR_RETURN(pty.master, sys::OpenBeneath(devpts, "ptmx", O_RDWR | O_NOCTTY));
  int unlock = 0;
  if (::ioctl(pty.master.get(), TIOCSPTLCK, &unlock) != 0) return sys::Errno("TIOCSPTLCK");
  pty.slave.reset(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.slave.valid()) return sys::Errno("TIOCGPTPEER");
  if (columns != 0 && rows != 0) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    if (::ioctl(pty.master.get(), TIOCSWINSZ, &size) != 0) return sys::Errno("TIOCSWINSZ");
  }
  return pty;
}

absl::StatusOr<Pty> OpenPtyInRoot(int root, uint32_t columns, uint32_t rows) {
  ASSIGN_OR_RETURN(sys::UniqueFd devpts, sys::OpenInRoot(root, "/dev/pts", O_PATH | O_DIRECTORY));
  struct statfs fs {};
  if (::fstatfs(devpts.get(), &fs) != 0) return sys::Errno("fstatfs \"/dev/pts\"");
  if (fs.f_type != DEVPTS_SUPER_MAGIC) return absl::FailedPreconditionError("the container's /dev/pts is not a devpts");
  return OpenPty(devpts.get(), columns, rows);
}

absl::Status BecomeTerminal(const Pty& pty, uint32_t uid) {
  if (::fchown(pty.slave.get(), uid, static_cast<gid_t>(-1)) != 0) return sys::Errno("fchown of the terminal");
  if (::ioctl(pty.slave.get(), TIOCSCTTY, 0) != 0) return sys::Errno("TIOCSCTTY");
  for (int fd = 0; fd <= 2; ++fd) {
    if (::dup2(pty.slave.get(), fd) < 0) return sys::Errno("dup2 of the terminal");
  }
  return absl::OkStatus();
}

absl::Status SendMaster(int socket, const sys::UniqueFd& master) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = master.get();
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) return sys::Errno("sendmsg of the terminal");
  return absl::OkStatus();
}

sys::UniqueFd ReceiveMaster(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  int fd = -1;
  if (::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) return sys::UniqueFd();
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return sys::UniqueFd(fd);
}

}  // namespace wherry::rootfs
