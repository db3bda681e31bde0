#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/shim/v1/shim.pb.h"
#include "runtime/sys/unique_fd.h"

// wherryd's side of the shim protocol: starts shims, connects to them (also to those of an earlier wherryd), pairs replies
// with requests and hands events on. One hub serves all shims with one epoll thread; callers block only for their own
// reply.
namespace wherry::shim {

// Called on the hub's thread: must be quick and must not call the hub.
struct Events {
  std::function<void(const std::string& pod_id, const v1::ContainerExited&)> container_exited;
  std::function<void(const std::string& pod_id, const v1::ExecExited&)> exec_exited;
  // The shim is gone (its process ended or its socket broke).
  std::function<void(const std::string& pod_id)> lost;
};

struct Process {
  pid_t pid = -1;
  uint64_t start_time = 0;  // /proc/<pid>/stat field 22: with pid it names a process across pid reuse
};

// A reply and the descriptors that came with it.
struct Reply {
  v1::Message message;
  std::vector<sys::UniqueFd> fds;
};

class Hub {
 public:
  struct Options {
    std::string shim_program;  // copied once into a sealed memfd, from which all shims are executed (CVE-2019-5736)
    std::string shim_cgroup;   // path of a cgroup for shims, joined when the layout allows it cheaply; "" = inherit
    bool shm_in_namespace = false;  // do without cloning detached mounts, as before Linux 6.15 (tests)
  };
  static absl::StatusOr<std::unique_ptr<Hub>> Create(const Options& options, Events events);
  virtual ~Hub() = default;

  // Executes a shim listening on `socket_path` (whose directory exists, 0700) and connects to it.
  virtual absl::StatusOr<Process> Spawn(const std::string& pod_id, const std::string& socket_path) = 0;
  // Connects to a shim that an earlier wherryd started. NotFound when nobody listens there any more.
  virtual absl::Status Connect(const std::string& pod_id, const std::string& socket_path, const Process& process) = 0;
  // Sends a request (id is set here) with descriptors and waits for its reply. An error reply becomes the status.
  // DeadlineExceeded at the deadline; Unavailable when the shim is lost meanwhile.
  virtual absl::StatusOr<Reply> Call(const std::string& pod_id, v1::Request request, absl::Duration timeout,
                                     std::vector<sys::UniqueFd> fds = {}) = 0;
  // Shuts the shim down, SIGKILLs it by pidfd when it does not end in time, reaps it. OK when unknown or gone.
  virtual absl::Status End(const std::string& pod_id, const Process& process) = 0;
};

}  // namespace wherry::shim
