// The shim itself moves into the pod's NET, IPC and UTS namespaces, and its children inherit them: there is no pause
// container, and a container joins nothing. It stays in the host's PID and mount namespaces, and in the host's user namespace
// also when the pod has one of its own: from inside it could not mount image layers, write logs or join cgroups any more. The
// pod's namespaces then belong to the pod's user namespace, and what is in them cannot reach the shim, which is in no PID
// namespace of theirs.
#include "runtime/shim/pod.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "runtime/shim/net_pin.h"
#include "runtime/shim/procfs.h"
#include "runtime/shim/shared_memory.h"
#include "runtime/shim/sysctl.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"
#include "runtime/sys/user_namespace.h"

namespace wherry::shim {
namespace {

constexpr char kOomScoreAdj[] = "/proc/self/oom_score_adj";
constexpr size_t kMaxHostname = 64;  // __NEW_UTS_LEN

// All checks that need no side effect.
absl::StatusOr<SysctlValues> CheckedSysctls(const v1::SetupPodRequest& request) {
  const OwnNamespaces own{request.new_net(), request.new_ipc(), request.new_uts()};
  SysctlValues values;
  if (own.net) {
    // As containerd and CRI-O: inside its own network a container may bind port 80 and ping without capabilities.
    values.emplace("net/ipv4/ip_unprivileged_port_start", "0");
    const uint32_t groups = request.has_user_namespace() ? request.user_namespace().gids() : 1U << 31;
    values.emplace("net/ipv4/ping_group_range", absl::StrCat("0 ", std::min(groups, 1U << 31) - 1));
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
  if (!request.has_user_namespace()) return absl::OkStatus();
  if (request.user_namespace().uids() == 0 || request.user_namespace().gids() == 0)
    return absl::InvalidArgumentError("a user namespace without a root");
  if (!request.new_ipc()) return absl::InvalidArgumentError("a user namespace needs an IPC namespace of the pod's own");
  return absl::OkStatus();
}

// What new namespaces get, by somebody who is in them.
absl::Status FillNamespaces(const v1::SetupPodRequest& request, int procfs, const SysctlValues& sysctls) {
  if (request.new_net()) RETURN_IF_ERROR(BringLoopbackUp());
  if (!request.hostname().empty() && ::sethostname(request.hostname().data(), request.hostname().size()) != 0)
    return sys::Errno(absl::StrCat("sethostname \"", request.hostname(), "\""));
  return WriteSysctls(procfs, sysctls);
}

// Moves into the pod's namespaces; returns its user namespace, or none.
absl::StatusOr<sys::UserNamespace> EnterNamespaces(const v1::SetupPodRequest& request, SysctlValues sysctls) {
  int types = 0;
  if (request.new_net()) types |= CLONE_NEWNET;
  if (request.new_ipc()) types |= CLONE_NEWIPC;
  if (request.new_uts()) types |= CLONE_NEWUTS;
  ASSIGN_OR_RETURN(sys::UniqueFd procfs, OpenProcfs());
  if (!request.has_user_namespace()) {
    if (types != 0 && ::unshare(types) != 0) return sys::Errno("unshare");
    RETURN_IF_ERROR(FillNamespaces(request, procfs.get(), sysctls));
    return sys::UserNamespace();
  }
  const v1::UserNamespace& maps = request.user_namespace();
  const SysctlValues uts = TakeUtsSysctls(sysctls);
  ASSIGN_OR_RETURN(sys::UserNamespace users,
                   sys::MakeUserNamespace({maps.host_uid(), maps.uids()}, {maps.host_gid(), maps.gids()}, types,
                                          [&] { return FillNamespaces(request, procfs.get(), sysctls); }));
  RETURN_IF_ERROR(WriteSysctls(procfs.get(), uts));
  return users;
}

absl::StatusOr<Pod> MakeRest(const v1::SetupPodRequest& request, sys::UserNamespace users, bool shm_in_namespace) {
  Pod pod;
  pod.context.users = std::move(users);
  if (request.new_ipc()) {
    WHERRY_FAIL_POINT("shim.shm");
    ASSIGN_OR_RETURN(SharedMemory shm, MakeSharedMemory(request, pod.context.users, shm_in_namespace));
    pod.context.shm = std::move(shm.detached);
    pod.context.shm_namespace = std::move(shm.mount_namespace);
  }
  if (request.shared_pid()) {
    WHERRY_FAIL_POINT("shim.pod_init");
    ASSIGN_OR_RETURN(pod.init, StartPodInit(request.cgroup(), pod.context.users));
    pod.context.pid_namespace = std::move(pod.init.pid_namespace);
  }
  WHERRY_FAIL_POINT("shim.made");
  if (request.oom_score_adj() != 0) SetOomScoreAdj(request.oom_score_adj());
  return pod;
}

}  // namespace

absl::StatusOr<Pod> SetupPod(const v1::SetupPodRequest& request, bool shm_in_namespace) {
  RETURN_IF_ERROR(Check(request));
  ASSIGN_OR_RETURN(SysctlValues sysctls, CheckedSysctls(request));
  WHERRY_FAIL_POINT("shim.setup");
  ASSIGN_OR_RETURN(sys::UserNamespace users, EnterNamespaces(request, std::move(sysctls)));
  WHERRY_FAIL_POINT("shim.namespaces");
  if (request.new_net()) RETURN_IF_ERROR(PinNetworkNamespace(request.netns_path()));
  auto pod = MakeRest(request, std::move(users), shm_in_namespace);
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
