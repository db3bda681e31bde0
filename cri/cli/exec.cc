// wherry exec without -i and -t: a command in a running container, to its end, with its output at the end (see remote.cc).

#include <unistd.h>

#include "api/cri/v1/api.pb.h"
#include "cri/cli/commands.h"
#include "cri/cli/target.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cli {

absl::StatusOr<int> Exec(Client& client, const std::string& container, const std::vector<std::string>& command,
                         int64_t timeout_seconds) {
  ASSIGN_OR_RETURN(Candidate found, FindContainer(client, container));
  cri::ExecSyncRequest request;
  request.set_container_id(found.id);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(timeout_seconds);
  // The runtime keeps the time; the call's own limit is only for a runtime that does not answer any more.
  const absl::Duration limit =
      timeout_seconds > 0 ? absl::Seconds(timeout_seconds) + absl::Minutes(2) : absl::InfiniteDuration();
  ASSIGN_OR_RETURN(auto response, client.Get<cri::ExecSyncResponse>(request, limit));
  RETURN_IF_ERROR(sys::WriteAll(STDOUT_FILENO, response.stdout()));
  RETURN_IF_ERROR(sys::WriteAll(STDERR_FILENO, response.stderr()));
  return response.exit_code();
}

}  // namespace wherry::cli
