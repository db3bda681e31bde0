#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// The master of a process' terminal, as wherryd holds it. The size is set right here: the process gets its SIGWINCH from the
// kernel, and the shim need not be asked.
namespace wherry::container {

class Terminal {
 public:
  Terminal() = default;  // none
  explicit Terminal(sys::UniqueFd master) : master_(std::move(master)) {}

  bool valid() const { return master_.valid(); }
  // Another descriptor of the master.
  absl::StatusOr<sys::UniqueFd> Duplicate() const;
  // TIOCSWINSZ. FailedPrecondition without a terminal.
  absl::Status Resize(uint16_t columns, uint16_t rows) const;

 private:
  sys::UniqueFd master_;
};

}  // namespace wherry::container
