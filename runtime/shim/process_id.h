#pragma once

#include "absl/status/statusor.h"
#include "runtime/shim/client.h"
#include "runtime/sys/unique_fd.h"

// Processes by pid and start time: a pid alone may be another process's by now.
namespace wherry::shim {

// Field 22 of /proc/<pid>/stat, in clock ticks since boot. NotFound when there is no such process.
absl::StatusOr<uint64_t> StartTime(pid_t pid);

// A pidfd of exactly this process. NotFound when it has ended. A start time of 0 is not compared.
absl::StatusOr<sys::UniqueFd> OpenProcess(const Process& process);

// Waits until the process has ended. False when the timeout comes first.
bool WaitForEnd(int pidfd, absl::Duration timeout);

// Reaps it, if it is a child of ours that has ended.
void ReapByPidfd(int pidfd);

}  // namespace wherry::shim
