// The order: groups before the uid (they need CAP_SETGID); the uid with PR_SET_KEEPCAPS, so that the
// permitted set survives it; the bounding set while CAP_SETPCAP is there; the seccomp filter, without no_new_privs, while
// CAP_SYS_ADMIN is there, so that it has to allow capset and prctl; the capabilities themselves; and, with no_new_privs, the
// filter last, so that it need allow no more than execve. The inheritable set is the ambient one, always: a wider one lets
// files with inheritable bits hand out what was never asked for (CVE-2022-24769, CVE-2022-29162, CVE-2025-27612).
#include "runtime/security/credentials.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "runtime/security/capability.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::security {
namespace {

absl::Status SetUserAndGroups(const shim::v1::User& user) {
  const std::vector<gid_t> groups(user.groups().begin(), user.groups().end());
  if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0) return sys::Errno("setgroups");
  if (::syscall(SYS_setresgid, user.gid(), user.gid(), user.gid()) != 0)
    return sys::Errno(absl::StrCat("setresgid ", user.gid()));
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return sys::Errno("PR_SET_KEEPCAPS");
  if (::syscall(SYS_setresuid, user.uid(), user.uid(), user.uid()) != 0)
    return sys::Errno(absl::StrCat("setresuid ", user.uid()));
  if (::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return sys::Errno("PR_SET_KEEPCAPS");
  return absl::OkStatus();
}

absl::Status CheckAvailable(uint64_t wanted, uint64_t have) {
  for (int number = 0; number < 64; ++number) {
    if ((wanted & ~have & (uint64_t{1} << number)) != 0)
      return absl::FailedPreconditionError(absl::StrCat(CapabilityName(number), " cannot be given: wherry has it not"));
  }
  return absl::OkStatus();
}

absl::Status InstallSeccomp(const std::string& bpf) {
  if (bpf.empty()) return absl::OkStatus();
  if (bpf.size() % sizeof(sock_filter) != 0 || bpf.size() / sizeof(sock_filter) > BPF_MAXINSNS)
    return absl::InvalidArgumentError(absl::StrCat("a seccomp filter of ", bpf.size(), " bytes"));
  std::vector<sock_filter> filter(bpf.size() / sizeof(sock_filter));
  bpf.copy(reinterpret_cast<char*>(filter.data()), bpf.size());
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return sys::Errno("seccomp");
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteProc(const sys::UniqueFd& procfs, const std::string& name, const std::string& text) {
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenOwnProcFile(procfs, name, O_WRONLY));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return sys::Errno(absl::StrCat("write \"", text, "\" to /proc/self/", name));
  return absl::OkStatus();
}

absl::Status ApplyRlimits(const shim::v1::Process& process) {
  for (const auto& wanted : process.rlimits()) {
    const rlimit limit{wanted.soft(), wanted.hard()};
    if (::setrlimit(static_cast<__rlimit_resource>(wanted.resource()), &limit) != 0)
      return sys::Errno(absl::StrCat("setrlimit ", wanted.resource(), " to ", wanted.soft(), ":", wanted.hard()));
  }
  return absl::OkStatus();
}

absl::Status RaiseHardLimits(const shim::v1::Process& process) {
  for (const auto& wanted : process.rlimits()) {
    const auto resource = static_cast<__rlimit_resource>(wanted.resource());
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) return sys::Errno(absl::StrCat("getrlimit ", wanted.resource()));
    if (limit.rlim_max >= wanted.hard()) continue;
    limit.rlim_max = wanted.hard();
    if (::setrlimit(resource, &limit) != 0)
      return sys::Errno(absl::StrCat("setrlimit ", wanted.resource(), " to ", wanted.soft(), ":", wanted.hard()));
  }
  return absl::OkStatus();
}

absl::Status ApplyOomScoreAdj(const sys::UniqueFd& procfs, int value) {
  absl::Status status = WriteProc(procfs, "oom_score_adj", absl::StrCat(value));
  return sys::IsErrno(status, EACCES) ? absl::OkStatus() : status;
}

absl::Status ApplyLabels(const sys::UniqueFd& procfs, const shim::v1::Process& process) {
  if (!process.apparmor_profile().empty()) {
    const std::string text = absl::StrCat("exec ", process.apparmor_profile());
    absl::Status status = WriteProc(procfs, "attr/apparmor/exec", text);
    if (sys::IsErrno(status, ENOENT)) status = WriteProc(procfs, "attr/exec", text);  // before Linux 5.8
    if (!status.ok())
      return sys::Annotate(status, absl::StrCat("AppArmor profile \"", process.apparmor_profile(), "\""));
  }
  if (!process.selinux_label().empty())
    RETURN_IF_ERROR_CTX(WriteProc(procfs, "attr/exec", process.selinux_label()), "SELinux label");
  return absl::OkStatus();
}

absl::Status BecomeUser(const shim::v1::Process& process, const shim::v1::User& user) {
  const shim::v1::Capabilities& caps = process.capabilities();
  ASSIGN_OR_RETURN(const uint64_t have, PermittedCapabilities());
  RETURN_IF_ERROR(CheckAvailable(caps.permitted() | caps.ambient(), have));
  RETURN_IF_ERROR(SetUserAndGroups(user));
  // A change of uid empties the effective set.
  return SetCapabilities({have, have, 0});
}

absl::Status Confine(const shim::v1::Process& process, const shim::v1::User& user) {
  const shim::v1::Capabilities& caps = process.capabilities();
  RETURN_IF_ERROR(LimitBoundingSet(caps.bounding()));
  if (!process.no_new_privs()) RETURN_IF_ERROR(InstallSeccomp(process.seccomp_bpf()));
  const bool effective = user.uid() == 0 || caps.ambient() != 0;
  const uint64_t permitted = caps.permitted() | caps.ambient();
  RETURN_IF_ERROR(SetCapabilities({permitted, effective ? permitted : 0, caps.ambient()}));
  if (caps.ambient() != 0) RETURN_IF_ERROR(SetAmbientCapabilities(caps.ambient()));
  if (process.no_new_privs()) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::Errno("PR_SET_NO_NEW_PRIVS");
    return InstallSeccomp(process.seccomp_bpf());
  }
  return absl::OkStatus();
}

}  // namespace wherry::security
