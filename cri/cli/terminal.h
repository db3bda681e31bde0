#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"

namespace wherry::cli {

// The terminal on standard input in raw mode, as a program at the other end of a session wants it: each key goes there at once, also ^C.
// The destructor gives it back as it was.
class RawTerminal {
 public:
  RawTerminal() = default;
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  // Nothing when standard input is no terminal.
  absl::Status Enter();

 private:
  std::optional<termios> before_;
};

// Columns and rows of the terminal that is on standard input or output; nothing without one.
std::optional<std::pair<uint16_t, uint16_t>> TerminalSizeHere();

}  // namespace wherry::cli
