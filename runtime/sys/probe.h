#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Whether this kernel, and this process' rights, have a facility: each is used once for real, on objects of its own that
// are gone afterwards. OK = it works; otherwise the status is the failing call's.
namespace wherry::sys {

// The kernel's release, e.g. "6.1.0-18-amd64" (uname(2)).
std::string KernelRelease();
// Whether `release` is at least MAJOR.MINOR.
bool ReleaseIsAtLeast(const std::string& release, int major, int minor);

absl::Status ProbeClone3();                                 // 5.3: clone3(2) with CLONE_PIDFD
absl::Status ProbeCloneIntoCgroup();                        // 5.7
absl::Status ProbeOpenat2();                                // 5.6: RESOLVE_IN_ROOT
absl::Status ProbePidfd();                                  // 5.3: pidfd_open(2), poll(2) on it
absl::Status ProbeMountApi();                               // 5.2: fsopen(2), fsmount(2)
absl::Status ProbeMountSetattr();                           // 5.12
absl::Status ProbeOverlayLowerdirs();                       // 6.7: overlay's "lowerdir+", one layer an option
absl::Status ProbeCloneDetached();                          // 6.15: open_tree(2) of a mount that is attached nowhere
absl::Status ProbeIdmappedMount(const std::string& dir);    // 5.12, by file system: the one that holds `dir`
absl::Status ProbeIdmappedOverlay(const std::string& dir);  // 5.19: overlay with an idmapped layer
absl::Status ProbeUserNamespace();                          // CLONE_NEWUSER by this user
absl::Status ProbeSeccomp();                                // filters with SECCOMP_RET_KILL_PROCESS, 4.14
absl::Status ProbeBpfDevices();                             // BPF_PROG_TYPE_CGROUP_DEVICE, 4.15

// Whether the effective set of this process has capability number `number` (capabilities(7)).
absl::StatusOr<bool> HasCapability(int number);

// Whether the mount that `path` is on propagates to others ("shared:" in mountinfo).
absl::StatusOr<bool> IsShared(const std::string& path);

}  // namespace wherry::sys
