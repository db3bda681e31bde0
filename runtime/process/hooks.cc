// One hook at a time, and the init waits for it: this is the one place where it may, since nobody waits for the init but by events. The
// state object is given as a file rather than by a pipe, so that a hook that does not read it blocks nobody; the output comes by a pipe
// that is read while the hook runs, so that one that writes much is not blocked either. What counts as the end is the process's, not the
// pipe's, which a daemon that the hook left behind may hold for ever.
#include "runtime/process/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::process {
namespace {

constexpr uint32_t kDefaultSeconds = 60;
constexpr size_t kMaxOutput = 2048;  // of which an error message quotes the end
constexpr int kNotExecuted = 127;

int64_t NowMs() {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

const char* NameOf(shim::v1::Hook::Stage stage) {
  return stage == shim::v1::Hook::CREATE_CONTAINER ? "createContainer" : "startContainer";
}

absl::StatusOr<sys::UniqueFd> MakeFile(const std::string& text) {
  sys::UniqueFd file(::memfd_create("state", MFD_CLOEXEC));
  if (!file.valid()) return sys::Errno("memfd_create");
  RETURN_IF_ERROR(sys::WriteAll(file.get(), text));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys::Errno("lseek of the state");
  return file;
}

template <typename Strings>
std::vector<char*> Pointers(const Strings& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  return pointers;
}

struct Streams {
  sys::UniqueFd in, out;
};

[[noreturn]] void BecomeHook(const shim::v1::Hook& hook, const std::string& directory, const Streams& streams) {
  (void)::setpgid(0, 0);
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  (void)::umask(022);
  std::vector<char*> args = Pointers(hook.args()), env = Pointers(hook.env());
  if (args.empty()) args.push_back(const_cast<char*>(hook.path().c_str()));
  args.push_back(nullptr);
  env.push_back(nullptr);
  const char* step = "dup2";
  if (::dup2(streams.in.get(), STDIN_FILENO) >= 0 && ::dup2(streams.out.get(), STDOUT_FILENO) >= 0 &&
      ::dup2(streams.out.get(), STDERR_FILENO) >= 0) {
    step = "chdir";
    if (::chdir(directory.c_str()) == 0) {
      step = "exec";
      (void)::execve(hook.path().c_str(), args.data(), env.data());
    }
  }
  ::dprintf(STDERR_FILENO, "%s: %s", step, std::strerror(errno));
  ::_exit(kNotExecuted);
}

// Takes what one read of the pipe gives without waiting, and keeps the end of it; one read, lest a hook that writes without
// end keeps us from the deadline. False when there will be no more.
bool Read(int pipe, std::string& text) {
  char buffer[64 << 10];  // as much as a pipe holds
  const ssize_t n = ::read(pipe, buffer, sizeof buffer);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  text.append(buffer, static_cast<size_t>(n));
  if (text.size() > kMaxOutput) text.erase(0, text.size() - kMaxOutput);
  return true;
}

// Whether it ended by then.
bool WaitFor(const sys::UniqueFd& pidfd, const sys::UniqueFd& pipe, int64_t deadline_ms, std::string& text) {
  pollfd polls[] = {{pidfd.get(), POLLIN, 0}, {pipe.get(), POLLIN, 0}};
  while (true) {
    const int64_t left = std::max<int64_t>(0, deadline_ms - NowMs());
    const int ready = ::poll(polls, 2, static_cast<int>(std::min<int64_t>(left, 1'000'000)));
    if (polls[1].revents != 0 && !Read(pipe.get(), text)) polls[1].fd = -1;
    if (ready > 0 && polls[0].revents != 0) {
      (void)Read(pipe.get(), text);
      return true;
    }
    if (left == 0) return false;
  }
}

absl::Status Judge(int status, const std::string& output) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  const std::string end =
      WIFSIGNALED(status) ? absl::StrCat("signal ", WTERMSIG(status)) : absl::StrCat("exit code ", WEXITSTATUS(status));
  return absl::FailedPreconditionError(absl::StrCat(end, ": ", absl::StripAsciiWhitespace(output)));
}

absl::Status RunOne(const shim::v1::Hook& hook, const std::string& directory, const std::string& state) {
  Streams streams;
  ASSIGN_OR_RETURN(streams.in, MakeFile(state));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  const sys::UniqueFd output(ends[0]);
  streams.out.reset(ends[1]);
  if (::fcntl(output.get(), F_SETFL, O_NONBLOCK) != 0) return sys::Errno("fcntl O_NONBLOCK");
  ASSIGN_OR_RETURN(sys::CloneResult child, sys::CloneProcess(0, sys::UniqueFd()));
  if (child.pid == 0) BecomeHook(hook, directory, streams);
  (void)::setpgid(child.pid, child.pid);  // whoever is first
  streams.out.reset();
  const uint32_t seconds = hook.timeout_s() != 0 ? hook.timeout_s() : kDefaultSeconds;
  std::string text;
  const bool ended = WaitFor(child.pidfd, output, NowMs() + int64_t{seconds} * 1000, text);
  if (!ended) {
    (void)::kill(-child.pid, SIGKILL);
    (void)::kill(child.pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) continue;
  if (!ended) return absl::DeadlineExceededError(absl::StrCat("killed after ", seconds, " s"));
  return Judge(status, text);
}

}  // namespace

absl::StatusOr<Hooks> Hooks::Prepare(const shim::v1::Hooks& hooks, const sys::UniqueFd& procfs) {
  char link[32] = {};
  int pid = 0;
  if (::readlinkat(procfs.get(), "self", link, sizeof link - 1) < 0 || !absl::SimpleAtoi(link, &pid))
    return sys::Errno("readlink \"/proc/self\"");
  return Hooks(hooks, pid);
}

absl::Status Hooks::Run(shim::v1::Hook::Stage stage) const {
  const bool creating = stage == shim::v1::Hook::CREATE_CONTAINER;
  const std::string directory = creating ? hooks_->bundle() : "/";
  const std::string state =
      absl::StrCat("{\"pid\":", pid_, ",\"status\":\"", creating ? "creating" : "created", "\",", hooks_->state(), "}");
  for (const shim::v1::Hook& hook : hooks_->list()) {
    if (hook.stage() != stage) continue;
    RETURN_IF_ERROR_CTX(RunOne(hook, directory, state), absl::StrCat("hook ", NameOf(stage), " \"", hook.path(), "\""));
  }
  return absl::OkStatus();
}

}  // namespace wherry::process
