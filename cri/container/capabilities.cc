// The inheritable set is never filled beyond what is asked for as ambient (CVE-2022-24769 and its kin: a non-empty
// inheritable set gives files with inheritable bits back to a user who has dropped them); the shim keeps that rule.
#include "cri/container/capabilities.h"

#include <sys/prctl.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace wherry::container {
namespace {

// In the order of their numbers, linux/capability.h; the last since 5.9.
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
constexpr int kCount = sizeof kNames / sizeof kNames[0];

// What containers have when nothing is said; the same set in all container runtimes.
constexpr absl::string_view kDefaults[] = {
    "CHOWN",  "DAC_OVERRIDE", "FSETID",           "FOWNER",     "MKNOD", "NET_RAW",     "SETGID",
    "SETUID", "SETFCAP",      "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",  "AUDIT_WRITE", "SETPCAP",
};

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

uint64_t DefaultSet() {
  uint64_t set = 0;
  for (absl::string_view name : kDefaults) set |= Bit(*ParseCapability(name));
  return set;
}

bool IsAll(absl::string_view name) { return absl::EqualsIgnoreCase(name, "ALL"); }

}  // namespace

uint64_t AvailableCapabilities() {
  uint64_t set = 0;
  for (int number = 0; number < 64; ++number) {
    int in_bounding_set = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (in_bounding_set < 0) break;
    if (in_bounding_set == 1) set |= Bit(number);
  }
  return set;
}

absl::StatusOr<int> ParseCapability(absl::string_view name) {
  std::string upper = absl::AsciiStrToUpper(name);
  absl::string_view bare = absl::StripPrefix(absl::string_view(upper), "CAP_");
  for (int number = 0; number < kCount; ++number) {
    if (kNames[number] == bare) return number;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no capability"));
}

absl::StatusOr<shim::v1::Capabilities> ContainerCapabilities(const ::runtime::v1::Capability& request, bool privileged,
                                                             uint64_t available) {
  uint64_t set = privileged ? available : DefaultSet() & available;
  uint64_t added = 0, dropped = 0, ambient = 0;
  for (const auto& name : request.add_capabilities()) {
    if (IsAll(name)) set = available;
  }
  for (const auto& name : request.drop_capabilities()) {
    if (IsAll(name)) set = 0;
  }
  for (const auto& name : request.add_capabilities()) {
    if (IsAll(name)) continue;
    auto number = ParseCapability(name);
    if (!number.ok()) return number.status();
    if ((available & Bit(*number)) == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("add_capabilities: wherryd itself has no CAP_", kNames[*number], " on this host"));
    }
    added |= Bit(*number);
  }
  for (const auto& name : request.drop_capabilities()) {
    if (IsAll(name)) continue;
    auto number = ParseCapability(name);
    if (!number.ok()) return number.status();
    dropped |= Bit(*number);
  }
  if (!privileged) set = (set | added) & ~dropped;
  for (const auto& name : request.add_ambient_capabilities()) {
    auto number = ParseCapability(name);
    if (!number.ok()) return number.status();
    if ((set & Bit(*number)) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("add_ambient_capabilities: CAP_", kNames[*number],
                                                     " is not among the container's capabilities"));
    }
    ambient |= Bit(*number);
  }
  shim::v1::Capabilities result;
  result.set_permitted(set);
  result.set_bounding(set);
  result.set_ambient(ambient);
  return result;
}

}  // namespace wherry::container
