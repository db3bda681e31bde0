// The default profile, and why it is as it is.
//
// A second wall, for the day on which the first one (masks, read-only paths, capabilities, seccomp) has a hole or was lowered by the pod:
// so it allows what programs do with their own files, sockets and processes, and forbids what reaches the host's kernel whatever
// capabilities a container was given:
//   - mount(2): the usual step from CAP_SYS_ADMIN to the host's files. umount stays allowed: it can uncover a mask, and what the masks hide
//     is forbidden here as well
//   - kernel settings: writing to /proc/sys and to all of /proc that is not a process's own (sysrq-trigger, irq, bus …)
//   - the kernel's devices and settings in /sys, but for cgroups, which a container may have delegated
//   - reading what tells of the hardware and of other processes' memory: kcore, firmware tables, power meters (CVE-2020-8694), LSM policy
// Processes may be signalled and traced by those of the same profile. Signals are taken from anybody: whoever sends one needs his own
// permission, and the shim, the kubelet and preStop hooks of unconfined neighbours have to get through.
//
// attach_disconnected: a container's standard streams and volumes come from outside of its mount namespace and would have no path.
// mediate_deleted: descriptors of deleted files keep working. Nothing is included, so that it can be loaded where only the compiler is
// installed; no abi is named, so that rule classes that came after AppArmor 3.0 are left unmediated instead of denied.
#include "runtime/apparmor/apparmor.h"

namespace wherry::apparmor {

absl::string_view DefaultProfileText() {
  return R"(profile wherry-default flags=(attach_disconnected,mediate_deleted) {
  file,
  network,
  capability,
  umount,

  signal (receive),
  signal (send) peer=wherry-default,
  ptrace (trace, read, tracedby, readby) peer=wherry-default,

  deny mount,

  deny /proc/* w,
  deny /proc/[^0-9s]*/** w,
  deny /proc/s[^y]*/** w,
  deny /proc/sys/** w,
  deny /proc/{sysrq-trigger,kcore} rwklx,

  deny /sys/[^f]** wklx,
  deny /sys/f[^s]** wklx,
  deny /sys/fs/[^c]** wklx,
  deny /sys/fs/c[^g]** wklx,
  deny /sys/{firmware,kernel/security,devices/virtual/powercap}/** rwklx,
}
)";
}

}  // namespace wherry::apparmor
