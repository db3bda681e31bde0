#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cri/cli/client.h"
#include "runtime/sys/unique_fd.h"

// The verbs of the command line, one file each. A verb prints its result to stdout and returns the exit code; an error is
// the caller's to print.
namespace wherry::cli {

enum class Output { kTable, kJson };

struct RunOptions {
  std::string image{};
  std::vector<std::string> command{};  // replaces the image's arguments
  std::string name{};                  // of pod and container; "" = made up
  std::string network = "pod";         // "pod" or "host"
  std::string memory{}, cpus{};        // as ParseBytes and ParseCpus take them; "" = no limit
  int64_t pids_limit = 0;              // 0 = none
  std::vector<std::string> env{};      // "NAME=VALUE", or "NAME" for the caller's own value
  std::vector<std::string> volumes{};  // "HOST:CONTAINER" or "HOST:CONTAINER:ro"
  std::string workdir{}, user{};       // user: "UID", "UID:GID" or a name
  std::string cgroup_parent{};
  bool privileged = false;
  bool remove = true;
  bool detach = false;
};

// SIGINT and SIGTERM as a descriptor instead of the end of this process. Before the first Client exists: threads inherit the
// mask, and gRPC starts some.
absl::StatusOr<sys::UniqueFd> TakeStopSignals();
// `signals` as FollowUntilExit takes it.
absl::StatusOr<int> Run(Client& client, const RunOptions& options, int signals);
// Each is an archive, "-" for one on standard input, or the directory of an OCI image layout.
absl::StatusOr<int> ImportImages(Client& client, const std::vector<std::string>& files, const std::string& reference);
// `user` "" pulls anonymously; otherwise the password is a line of standard input.
// One of these, with whatever else the request says.
absl::StatusOr<v1::ImportImageResponse> ImportFile(Client& client, const std::string& file,
                                                   v1::ImportImageRequest request);
// Shows on `progress` how far the layers are: bars when it is a terminal, else a line when a layer has come.
absl::StatusOr<std::string> PullImage(Client& client, const v1::PullImageRequest& request, std::FILE* progress);
absl::StatusOr<int> TagImage(Client& client, const std::string& image, const std::vector<std::string>& tags);
absl::StatusOr<int> PullImages(Client& client, const std::vector<std::string>& images, const std::string& user);
// Which hosts a pull would ask, in order, and with what; without any network traffic. `config` as for Doctor.
absl::StatusOr<int> ExplainImage(const std::string& image, const std::string& config, Output output);
// Compares images, all when none is named, with what was unpacked. 1 when something differs.
absl::StatusOr<int> VerifyImages(Client& client, const std::vector<std::string>& images);
// Writes an OCI archive; "-" is standard output. A file is there when it is whole, or not at all.
absl::StatusOr<int> ExportImage(Client& client, const std::string& image, const std::string& file);
absl::StatusOr<int> ListImages(Client& client, Output output);
absl::StatusOr<int> RemoveImages(Client& client, const std::vector<std::string>& images);
absl::StatusOr<int> ListContainers(Client& client, bool all, Output output);
absl::StatusOr<int> ListPods(Client& client, Output output);
// Returns the command's exit code. `timeout_seconds` 0 = none.
absl::StatusOr<int> Exec(Client& client, const std::string& container, const std::vector<std::string>& command,
                         int64_t timeout_seconds);

struct StreamOptions {
  bool input = false;     // standard input goes to the command
  bool terminal = false;  // the command has one; ours, if it is on standard input, is raw meanwhile
  std::string ca_file{};  // whom to trust with an https URL; "" = the host's own
};
// With output as it comes. Ends with the command's exit code, or 128 + a signal that ended us.
absl::StatusOr<int> ExecInteractive(Client& client, const std::string& container,
                                    const std::vector<std::string>& command, const StreamOptions& options);
// Until the container has ended (0), or the keys ctrl-p ctrl-q with both a terminal and input.
absl::StatusOr<int> Attach(Client& client, const std::string& container, const StreamOptions& options);

struct PortForwardOptions {
  std::string pod{};
  std::vector<std::string> ports{};  // "REMOTE", "LOCAL:REMOTE", ":REMOTE" for any free local one
  std::string address = "127.0.0.1";
  std::string ca_file{};
};
// Prints each port that it listens on. Ends with 0 by a signal.
absl::StatusOr<int> ForwardPorts(Client& client, const PortForwardOptions& options);

struct LogsOptions {
  std::string container;
  bool follow = false, timestamps = false;
  int tail = -1;  // lines; -1 = all
};
absl::StatusOr<int> Logs(Client& client, const LogsOptions& options);
absl::StatusOr<int> Stop(Client& client, const std::vector<std::string>& names, int64_t timeout_seconds);
// With `force` also what runs; without, that is FailedPrecondition.
absl::StatusOr<int> Remove(Client& client, const std::vector<std::string>& names, bool force);
// `config` is wherryd's configuration file, for the CNI directories; it may be missing. Returns 1 when wherry cannot work here.
absl::StatusOr<int> Doctor(Client& client, const std::string& config);

// Prints a container's log until the container has ended, and then the rest. A byte of `signals` (a signalfd, or invalid) stops the
// container: the first with 10 s of grace, the second at once. Returns its exit code.
absl::StatusOr<int> FollowUntilExit(Client& client, const std::string& container_id, const LogsOptions& options,
                                    int signals);

// What `run` notes on a pod, so that `rm` can take the log directory away with it.
inline constexpr char kLogDirAnnotation[] = "wherry.run/log-directory";
inline constexpr char kLogRoot[] = "/var/log/wherry";
// Removes `dir` if it is a directory that `run` made.
absl::Status RemoveLogDir(const std::string& dir);

}  // namespace wherry::cli
