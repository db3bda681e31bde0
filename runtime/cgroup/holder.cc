#include "runtime/cgroup/holder.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/sys/status.h"

namespace wherry::cgroup {

absl::StatusOr<Holder> Holder::Start(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  const sys::UniqueFd input(ends[0]);
  sys::UniqueFd end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), 0);
  char* const argv[] = {const_cast<char*>("wherry-shim"), const_cast<char*>("--hold"), nullptr};
  char* const environment[] = {nullptr};
  pid_t pid = -1;
  const int err = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (err != 0) return sys::Errno(absl::StrCat("posix_spawn \"", program, "\""), err);
  return Holder(pid, std::move(end));
}

Holder::Holder(Holder&& other) noexcept : pid_(std::exchange(other.pid_, -1)), end_(std::move(other.end_)) {}

Holder::~Holder() {
  if (pid_ < 0) return;
  (void)::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

}  // namespace wherry::cgroup
