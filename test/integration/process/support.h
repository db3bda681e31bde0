#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/process/process.h"
#include "runtime/sys/file.h"
#include "runtime/sys/probe.h"

// A stand-in for the shim: a forked, single-threaded process with network, IPC, UTS and mount namespaces of its own, a
// cgroup of its own in each hierarchy of this machine, and a root file system of Debian's busybox-static.
namespace wherry::process {

// How a child ended and what it wrote to stdout and stderr.
struct Ended {
  absl::Status start;  // not OK: it never ran
  shim::v1::User user;
  int code = -1;  // exit code, or 128 + signal
  std::string output;
};

class Pod {
 public:
  // `shm_in_namespace`: hold /dev/shm as kernels before 6.15 need it; by default where this one does.
  explicit Pod(bool shm_in_namespace = !sys::ProbeCloneDetached().ok());
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  // A directory of this test on the host, removed by InPod; "base" below it is the busybox layer.
  const std::string& directory() const { return directory_; }
  std::string layer() const { return directory_ + "/base"; }
  // Writes a file, with its parent directories, below directory().
  void Write(const std::string& path, const std::string& text, mode_t mode = 0644) const;

  // A request that runs `args` as root with default capabilities, in an own PID namespace and cgroup.
  shim::v1::StartContainerRequest Request(const std::vector<std::string>& args);
  // The same that runs a shell script.
  shim::v1::StartContainerRequest Shell(const std::string& script) { return Request({"/bin/sh", "-c", script}); }
  shim::v1::ExecRequest ExecRequest(const shim::v1::StartContainerRequest& container,
                                    const std::vector<std::string>& args) const;

  // Runs it to its end.
  Ended Run(const shim::v1::StartContainerRequest& request, std::optional<pid_t> target = std::nullopt);
  // Starts it (it must get to run) and leaves it running until End, or the end of the pod's process.
  Launch Start(const shim::v1::StartContainerRequest& request);
  Ended Exec(const shim::v1::ExecRequest& request, const Launch& init);
  void End(Launch& launch);

  // Makes its PID namespace the pod's.
  void SharePidNamespaceOf(const Launch& init);

  const PodContext& context() const { return context_; }

 private:
  Ended Finish(absl::StatusOr<Launch> launch, int output);
  void MakeLayer() const;
  void MakeCgroups();

  std::string directory_;
  shim::v1::Cgroup cgroup_;
  PodContext context_;
  int containers_ = 0;
};

// Runs `body` in a forked process in namespaces of its own and fails the test with what failed there.
void InPod(const std::function<void()>& body);

}  // namespace wherry::process
