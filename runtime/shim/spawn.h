#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "runtime/sys/unique_fd.h"

// How wherryd starts a shim: cheap from a big, multi-threaded process, and from a copy of the program that nothing can
// write to.
namespace wherry::shim {

class Spawner {
 public:
  struct Child {
    pid_t pid = -1;
    sys::UniqueFd pidfd;
  };

  // Copies `program` into a sealed memfd. `cgroup`: where shims live; "" = where wherryd is.
  static absl::StatusOr<Spawner> Create(const std::string& program, const std::string& cgroup);

  // Executes "wherry-shim [option] POD_ID" with `listener` as descriptor 3. Returns when it has been executed.
  absl::StatusOr<Child> Start(const std::string& option, const std::string& pod_id,
                              const sys::UniqueFd& listener) const;

 private:
  absl::StatusOr<sys::UniqueFd> OpenCgroup() const;

  sys::UniqueFd program_;
  sys::UniqueFd null_;
  std::string cgroup_;  // or ""
  bool v1_ = false;     // it has a file `tasks`
};

}  // namespace wherry::shim
