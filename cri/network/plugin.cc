// A plugin is spawned with the parent's memory shared until execve (posix_spawn), because copying wherryd's page tables would
// cost more than the plugin itself. Its input goes through a memfd, so that nobody waits for anybody: a plugin that never
// reads, or writes for ever, only meets the deadline or the bound.

#include "cri/network/plugin.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/cni/error.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

constexpr size_t kMaxOutput = 1 << 20;

struct Pipe {
  sys::UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  return Pipe{sys::UniqueFd(fds[0]), sys::UniqueFd(fds[1])};
}

absl::StatusOr<sys::UniqueFd> InputFile(const std::string& text) {
  sys::UniqueFd file(::memfd_create("cni-input", MFD_CLOEXEC));
  if (!file.valid()) return sys::Errno("memfd_create \"cni-input\"");
  RETURN_IF_ERROR(sys::WriteAll(file.get(), text));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys::Errno("lseek");
  return file;
}

std::vector<std::string> Environment(const PluginCall& call, const std::vector<std::string>& bin_dirs) {
  const char* path = ::getenv("PATH");
  return {"CNI_COMMAND=" + call.command,
          "CNI_CONTAINERID=" + call.container_id,
          "CNI_NETNS=" + call.netns,
          "CNI_IFNAME=eth0",
          "CNI_ARGS=" + call.args,
          "WHERRY_NETNS_ENDS=1",  // read at DEL: a pod's namespace never outlives its network
          "CNI_PATH=" + absl::StrJoin(bin_dirs, ":"),
          absl::StrCat("PATH=", path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin")};
}

// A spawned plugin; killed and reaped if it is dropped before its end.
class Child {
 public:
  Child(pid_t pid, sys::UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);  // not reaped yet: the number is still its own
    Reap();
  }
  int pidfd() const { return pidfd_.get(); }
  int Reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
  sys::UniqueFd pidfd_;
};

absl::StatusOr<Child> Spawn(const std::string& program, const std::vector<std::string>& environment, int in, int out,
                            int err) {
  std::vector<char*> env;
  for (const std::string& e : environment) env.push_back(const_cast<char*>(e.c_str()));
  env.push_back(nullptr);
  char* argv[] = {const_cast<char*>(program.c_str()), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  int rc = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, env.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (rc != 0) return sys::Errno(absl::StrCat("posix_spawn \"", program, "\""), rc);
  auto pidfd = sys::OpenPidfd(pid);
  Child child(pid, pidfd.ok() ? std::move(*pidfd) : sys::UniqueFd());
  RETURN_IF_ERROR(pidfd.status());
  return child;
}

// Takes what is there; false at end of file. More than the bound is read and dropped.
bool Take(int fd, std::string& into) {
  char buffer[16384];
  ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n <= 0) return n < 0 && errno == EINTR;
  into.append(buffer, std::min<size_t>(static_cast<size_t>(n), kMaxOutput + 1 - std::min(into.size(), kMaxOutput + 1)));
  return true;
}

// Reads both streams until both have ended or the plugin has (a daemon that it left behind may keep them open).
absl::Status Collect(const Child& child, int out_fd, int err_fd, absl::Time deadline, std::string (&text)[2]) {
  pollfd fds[3] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}, {child.pidfd(), POLLIN, 0}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return absl::DeadlineExceededError("did not end in time and was killed");
    int ready = ::poll(fds, 3, static_cast<int>(std::min<int64_t>(left + 1, 60000)));
    if (ready < 0 && errno != EINTR) return sys::Errno("poll");
    bool took = false;
    for (int i = 0; ready > 0 && i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      took = true;
      if (!Take(fds[i].fd, text[i])) fds[i].fd = -1;
    }
    if (ready > 0 && !took && fds[2].revents != 0) break;
  }
  return absl::OkStatus();
}

absl::Status Failure(const std::string& out, const std::string& err, int status) {
  if (auto error = cni::ParseError(out); error.ok()) return cni::ToStatus(*error);
  const std::string how =
      WIFSIGNALED(status) ? absl::StrCat("signal ", WTERMSIG(status)) : absl::StrCat("exit code ", WEXITSTATUS(status));
  absl::string_view said = absl::StripAsciiWhitespace(err.empty() ? out : err);
  return absl::InternalError(absl::StrCat("ended with ", how, said.empty() ? "" : ": ", said.substr(0, 2000)));
}

}  // namespace

absl::StatusOr<std::string> FindPlugin(const std::vector<std::string>& bin_dirs, const std::string& type) {
  for (const std::string& dir : bin_dirs)
    if (std::string path = dir + "/" + type; ::access(path.c_str(), X_OK) == 0) return path;
  return absl::FailedPreconditionError(
      absl::StrCat("CNI plugin \"", type, "\" is in none of: ", absl::StrJoin(bin_dirs, ", ")));
}

absl::StatusOr<std::string> RunPlugin(const std::vector<std::string>& bin_dirs, const std::string& type,
                                      const PluginCall& call, absl::Time deadline) {
  ASSIGN_OR_RETURN(std::string program, FindPlugin(bin_dirs, type));
  ASSIGN_OR_RETURN(sys::UniqueFd input, InputFile(call.config));
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  const std::string context = absl::StrCat("CNI ", call.command, " by plugin \"", type, "\"");
  ASSIGN_OR_RETURN_CTX(
      Child child, Spawn(program, Environment(call, bin_dirs), input.get(), out.write.get(), err.write.get()), context);
  out.write.reset();
  err.write.reset();
  std::string text[2];
  RETURN_IF_ERROR_CTX(Collect(child, out.read.get(), err.read.get(), deadline, text), context);
  pollfd ended = {child.pidfd(), POLLIN, 0};
  const int64_t left = std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
  if (::poll(&ended, 1, static_cast<int>(left)) <= 0)
    return absl::DeadlineExceededError(absl::StrCat(context, ": closed its output but did not end; it was killed"));
  const int status = child.Reap();
  if (status != 0) return sys::Annotate(Failure(text[0], text[1], status), context);
  if (text[0].size() > kMaxOutput)
    return absl::ResourceExhaustedError(absl::StrCat(context, ": printed more than 1 MiB"));
  return std::move(text[0]);
}

}  // namespace wherry::network
