#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::cgroup {

// A process that does nothing until its Holder is destroyed or wherryd ends. Its only use is to be the first one in a scope: systemd makes
// none without a process, and removes one as soon as it is empty. `program` is wherry-shim, which waits with "--hold": it is static
// and small, so that the kernel never takes it for what uses a container's memory.
class Holder {
 public:
  static absl::StatusOr<Holder> Start(const std::string& program);
  Holder(Holder&& other) noexcept;
  Holder& operator=(Holder&&) = delete;
  ~Holder();  // it is gone afterwards

  pid_t pid() const { return pid_; }

 private:
  Holder(pid_t pid, sys::UniqueFd end) : pid_(pid), end_(std::move(end)) {}

  pid_t pid_;
  sys::UniqueFd end_;  // the other end is its standard input: it ends when this is closed, by whatever
};

}  // namespace wherry::cgroup
