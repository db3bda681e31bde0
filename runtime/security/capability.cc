// Straight system calls: libcap keeps global state and allocates, which is nothing for a child between clone and execve.
// The bounding set is dropped capability by capability, as the kernel has no other way; those beyond the kernel's last one
// answer EINVAL and end the loop, so a newer kernel's capabilities are dropped without their names being known here.
#include "runtime/security/capability.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "runtime/sys/status.h"

namespace wherry::security {
namespace {

// By number, linux/capability.h; the last one since Linux 5.9.
constexpr absl::string_view kNames[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
constexpr int kCount = sizeof(kNames) / sizeof(kNames[0]);
constexpr int kMaskBits = 64;

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

}  // namespace

absl::StatusOr<int> CapabilityNumber(absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  const absl::string_view bare = absl::StripPrefix(absl::string_view(upper), "CAP_");
  for (int number = 0; number < kCount; ++number) {
    if (kNames[number] == bare) return number;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no capability"));
}

std::string CapabilityName(int number) {
  if (number < 0 || number >= kCount) return absl::StrCat("CAP_", number);
  return absl::StrCat("CAP_", kNames[number]);
}

uint64_t DefaultCapabilities() {
  uint64_t set = 0;
  for (int number :
       {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD, CAP_NET_RAW, CAP_SETGID, CAP_SETUID,
        CAP_SETFCAP, CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE}) {
    set |= Bit(number);
  }
  return set;
}

absl::StatusOr<uint64_t> PermittedCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return sys::Errno("capget");
  return data[0].permitted | (uint64_t{data[1].permitted} << 32);
}

absl::Status SetCapabilities(const CapabilitySets& sets) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (int i = 0; i < 2; ++i) {
    data[i].permitted = static_cast<uint32_t>(sets.permitted >> (32 * i));
    data[i].effective = static_cast<uint32_t>(sets.effective >> (32 * i));
    data[i].inheritable = static_cast<uint32_t>(sets.inheritable >> (32 * i));
  }
  if (::syscall(SYS_capset, &header, data) != 0) return sys::Errno("capset");
  return absl::OkStatus();
}

absl::Status LimitBoundingSet(uint64_t keep) {
  for (int number = 0; number < kMaskBits; ++number) {
    if ((keep & Bit(number)) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) return absl::OkStatus();  // beyond the kernel's last one
    return sys::Errno(absl::StrCat("PR_CAPBSET_DROP ", CapabilityName(number)));
  }
  return absl::OkStatus();
}

absl::Status SetAmbientCapabilities(uint64_t ambient) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return sys::Errno("PR_CAP_AMBIENT_CLEAR_ALL");
  for (int number = 0; number < kMaskBits; ++number) {
    if ((ambient & Bit(number)) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
      return sys::Errno(absl::StrCat("PR_CAP_AMBIENT_RAISE ", CapabilityName(number)));
  }
  return absl::OkStatus();
}

}  // namespace wherry::security
