// The shim itself moves into the pod's NET, IPC and UTS namespaces, and its children inherit them: there is no pause
// container, and a container joins nothing. It stays in the host's PID and mount namespaces.
#include "runtime/shim/pod.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "runtime/shim/net_pin.h"
#include "runtime/shim/shared_memory.h"
#include "runtime/shim/sysctl.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr char kOomScoreAdj[] = "/proc/self/oom_score_adj";
constexpr size_t kMaxHostname = 64;  // __NEW_UTS_LEN

// All checks that need no side effect: values by path.
absl::StatusOr<std::map<std::string, std::string>> CheckedSysctls(const v1::SetupPodRequest& request) {
  const OwnNamespaces own{request.new_net(), request.new_ipc(), request.new_uts()};
  std::map<std::string, std::string> values;
  if (own.net) {
    // As containerd and CRI-O: inside its own network a container may bind port 80 and ping without capabilities.
    values.emplace("net/ipv4/ip_unprivileged_port_start", "0");
    values.emplace("net/ipv4/ping_group_range", "0 2147483647");
  }
  for (const auto& [name, value] : request.sysctls()) {
    ASSIGN_OR_RETURN(std::string path, SysctlPath(name, value, own));
    values[path] = value;
  }
  return values;
}

absl::Status Check(const v1::SetupPodRequest& request) {
  if (request.new_net() && (request.netns_path().empty() || request.netns_path()[0] != '/'))
    return absl::InvalidArgumentError("netns_path is not absolute");
  if (request.hostname().size() > kMaxHostname)
    return absl::InvalidArgumentError(absl::StrCat("hostname \"", request.hostname(), "\" is longer than 64 bytes"));
  if (!request.new_uts() && !request.hostname().empty())
    return absl::InvalidArgumentError("a hostname needs a UTS namespace of the pod's own");
  return absl::OkStatus();
}

absl::Status EnterNamespaces(const v1::SetupPodRequest& request) {
  int flags = 0;
  if (request.new_net()) flags |= CLONE_NEWNET;
  if (request.new_ipc()) flags |= CLONE_NEWIPC;
  if (request.new_uts()) flags |= CLONE_NEWUTS;
  if (flags != 0 && ::unshare(flags) != 0) return sys::Errno("unshare");
  if (request.new_net()) RETURN_IF_ERROR(BringLoopbackUp());
  if (!request.hostname().empty() && ::sethostname(request.hostname().data(), request.hostname().size()) != 0)
    return sys::Errno(absl::StrCat("sethostname \"", request.hostname(), "\""));
  return absl::OkStatus();
}

absl::StatusOr<Pod> MakeRest(const v1::SetupPodRequest& request, bool shm_in_namespace) {
  Pod pod;
  if (request.new_ipc()) {
    ASSIGN_OR_RETURN(SharedMemory shm, MakeSharedMemory(request.shm_size(), shm_in_namespace));
    pod.context.shm = std::move(shm.detached);
    pod.context.shm_namespace = std::move(shm.mount_namespace);
  }
  if (request.shared_pid()) {
    ASSIGN_OR_RETURN(pod.init, StartPodInit(request.cgroup()));
    pod.context.pid_namespace = std::move(pod.init.pid_namespace);
  }
  if (request.oom_score_adj() != 0) SetOomScoreAdj(request.oom_score_adj());
  return pod;
}

}  // namespace

absl::StatusOr<Pod> SetupPod(const v1::SetupPodRequest& request, bool shm_in_namespace) {
  RETURN_IF_ERROR(Check(request));
  ASSIGN_OR_RETURN(auto sysctls, CheckedSysctls(request));
  RETURN_IF_ERROR(EnterNamespaces(request));
  RETURN_IF_ERROR(WriteSysctls(sysctls));
  if (request.new_net()) RETURN_IF_ERROR(PinNetworkNamespace(request.netns_path()));
  auto pod = MakeRest(request, shm_in_namespace);
  if (!pod.ok() && request.new_net()) {
    (void)::umount2(request.netns_path().c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    (void)::unlink(request.netns_path().c_str());
  }
  return pod;
}

void SetOomScoreAdj(int value) {
  auto text = sys::ReadFileAt(AT_FDCWD, kOomScoreAdj, 16);
  int current = 0;
  if (!text.ok() || !absl::SimpleAtoi(absl::StripSuffix(*text, "\n"), &current)) return;
  // Without CAP_SYS_RESOURCE it cannot go below the least value that a privileged process ever gave: keep what we have.
  // The file belongs to root, not to us, while we are not dumpable; for root that is the same.
  if (value != current) (void)sys::WriteFileAt(AT_FDCWD, kOomScoreAdj, absl::StrCat(value));
}

}  // namespace wherry::shim
