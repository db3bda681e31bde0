#include "cri/container/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include "runtime/sys/status.h"

namespace wherry::container {
namespace {
constexpr int kSize = 1 << 20;
}

absl::StatusOr<Pipe> OpenPipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  Pipe pipe{sys::UniqueFd(ends[0]), sys::UniqueFd(ends[1])};
  (void)::fcntl(pipe.writer.get(), F_SETPIPE_SZ, kSize);  // the default will do
  return pipe;
}

absl::Status SetNonBlocking(const sys::UniqueFd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return sys::Errno("fcntl O_NONBLOCK");
  return absl::OkStatus();
}

}  // namespace wherry::container
