// wherry logs, and the half of `run` that prints while the container runs. The log file tells when there is output; that the
// container has ended only the runtime knows, so its status is asked for whenever the file has been silent for a moment.
// After the end the file is read once more: the runtime writes all output before it reports the exit.

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/log_file.h"
#include "cri/cli/target.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

constexpr int kAskEveryMs = 50;
constexpr int64_t kGraceSeconds = 10;

absl::StatusOr<cri::ContainerStatus> Ask(Client& client, const std::string& id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  ASSIGN_OR_RETURN(auto response, client.Get<cri::ContainerStatusResponse>(request));
  return response.status();
}

absl::StatusOr<LogFollower> OpenLog(const cri::ContainerStatus& status, const LogsOptions& options) {
  if (status.log_path().empty()) return absl::FailedPreconditionError("the container has no log file");
  return LogFollower::Open(status.log_path(), options.tail, PrintTo(STDOUT_FILENO, STDERR_FILENO, options.timestamps));
}

absl::Status StopIt(Client& client, const std::string& id, int64_t grace) {
  cri::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(grace);
  return client.Get<cri::StopContainerResponse>(request, absl::Seconds(grace) + absl::Minutes(2)).status();
}

}  // namespace

absl::StatusOr<int> FollowUntilExit(Client& client, const std::string& id, const LogsOptions& options, int signals) {
  ASSIGN_OR_RETURN(cri::ContainerStatus status, Ask(client, id));
  ASSIGN_OR_RETURN(LogFollower log, OpenLog(status, options));
  while (status.state() == cri::CONTAINER_RUNNING || status.state() == cri::CONTAINER_CREATED) {
    RETURN_IF_ERROR(log.Drain());
    pollfd fds[] = {{log.events(), POLLIN, 0}, {signals, POLLIN, 0}};  // poll ignores negative descriptors
    const int n = ::poll(fds, 2, kAskEveryMs);
    if (n < 0 && errno != EINTR) return sys::Errno("poll");
    if (fds[0].revents & POLLIN) log.ClearEvents();
    if (fds[1].revents & POLLIN) {
      signalfd_siginfo info{};
      if (::read(signals, &info, sizeof info) == sizeof info) RETURN_IF_ERROR(StopIt(client, id, kGraceSeconds));
    }
    if (n == 0 || (fds[1].revents & POLLIN)) {
      ASSIGN_OR_RETURN(status, Ask(client, id));
    }
  }
  RETURN_IF_ERROR(log.Drain());
  return status.exit_code();
}

absl::StatusOr<int> Logs(Client& client, const LogsOptions& options) {
  ASSIGN_OR_RETURN(Candidate found, FindContainer(client, options.container));
  if (options.follow) {
    RETURN_IF_ERROR(FollowUntilExit(client, found.id, options, -1).status());
    return 0;
  }
  ASSIGN_OR_RETURN(cri::ContainerStatus status, Ask(client, found.id));
  ASSIGN_OR_RETURN(LogFollower log, OpenLog(status, options));
  RETURN_IF_ERROR(log.Drain());
  return 0;
}

}  // namespace wherry::cli
