#include "cri/container/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "runtime/sys/status.h"

namespace wherry::container {

absl::StatusOr<sys::UniqueFd> Terminal::Duplicate() const {
  sys::UniqueFd copy(::fcntl(master_.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
  return copy;
}

absl::Status Terminal::Resize(uint16_t columns, uint16_t rows) const {
  if (!valid()) return absl::FailedPreconditionError("the process has no terminal");
  winsize size{};
  size.ws_col = columns;
  size.ws_row = rows;
  if (::ioctl(master_.get(), TIOCSWINSZ, &size) != 0) return sys::Errno("TIOCSWINSZ");
  return absl::OkStatus();
}

}  // namespace wherry::container
