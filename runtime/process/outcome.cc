#include "runtime/process/process.h"
#include "runtime/process/report.h"
#include "runtime/rootfs/pty.h"
#include "runtime/sys/status.h"

namespace wherry::process {

absl::StatusOr<Outcome> ReadOutcome(Launch& launch) {
  Outcome outcome;
  ASSIGN_OR_RETURN(outcome.user, ReadReport(launch.report.get()));
  if (!launch.tty_socket.valid()) return outcome;
  outcome.tty_master = rootfs::ReceiveMaster(launch.tty_socket.get());
  if (!outcome.tty_master.valid()) return absl::InternalError("the process sent no terminal");
  return outcome;
}

}  // namespace wherry::process
