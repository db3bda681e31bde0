#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// What a streaming session needs from the rest of wherryd: processes by descriptors, and connections into pods. The session
// moves bytes between a client's protocol and these descriptors; it knows neither shims nor namespaces, and what is behind
// this interface knows no HTTP.
namespace wherry::streaming {

// Which streams the client asked for. With a terminal, stdout carries all output and stderr is not to be asked for.
struct Streams {
  bool in = false;
  bool out = false;
  bool err = false;
  bool tty = false;
};

// The client's side of one process. Descriptors are non-blocking, and invalid for streams that were not asked for. With a
// terminal `in` and `out` are two descriptors of its master, so that closing one does not close the other.
// The destructor ends what is the client's: an exec that still runs is killed with its descendants, an attachment is
// detached and the container goes on.
class Process {
 public:
  virtual ~Process() = default;

  sys::UniqueFd in, out, err;

  // A descriptor that becomes and stays readable (POLLIN) once the process has ended; its output is then in the pipes.
  virtual int ended() const = 0;
  // After `ended`. 0 to 255; 128 + the signal for a process that a signal killed. Unavailable when it cannot be known.
  virtual absl::StatusOr<int> ExitCode() const = 0;
  // Columns and rows. FailedPrecondition without a terminal.
  virtual absl::Status Resize(uint16_t width, uint16_t height) = 0;
};

// Calls may block for as long as a process takes to start; they are thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;

  // NotFound for an unknown container, FailedPrecondition unless it runs. A command that cannot be executed is
  // InvalidArgument.
  virtual absl::StatusOr<std::unique_ptr<Process>> Exec(const std::string& container_id,
                                                        const std::vector<std::string>& command, Streams streams) = 0;
  // The init of a running container. Output from now on; stdin where the container has one.
  virtual absl::StatusOr<std::unique_ptr<Process>> Attach(const std::string& container_id, Streams streams) = 0;
  // A stream socket, non-blocking and connected to localhost:port in the pod's network namespace, IPv4 first, then IPv6.
  // NotFound for an unknown pod, FailedPrecondition unless it is ready, Unavailable when nobody listens.
  virtual absl::StatusOr<sys::UniqueFd> Connect(const std::string& pod_id, uint16_t port) = 0;
};

}  // namespace wherry::streaming
