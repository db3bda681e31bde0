#include "cri/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/sys/status.h"

namespace wherry::cli {

absl::Status RawTerminal::Enter() {
  termios settings;
  if (::tcgetattr(STDIN_FILENO, &settings) != 0) return absl::OkStatus();
  before_ = settings;
  ::cfmakeraw(&settings);
  return ::tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) == 0 ? absl::OkStatus() : sys::Errno("tcsetattr");
}

RawTerminal::~RawTerminal() {
  if (before_.has_value()) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*before_);
}

std::optional<std::pair<uint16_t, uint16_t>> TerminalSizeHere() {
  winsize size;
  for (int fd : {STDIN_FILENO, STDOUT_FILENO})
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0) return std::pair(size.ws_col, size.ws_row);
  return std::nullopt;
}

}  // namespace wherry::cli
