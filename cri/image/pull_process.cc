// posix_spawn(3) is a vfork underneath: starting wherry-pull costs the same however large wherryd has grown. The new process is
// watched through a pidfd, never by a number that could be somebody else's by then.
#include "cri/image/pull_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "runtime/sys/status.h"

extern "C" {  // glibc 2.36 forgot to say so itself
#include <sys/pidfd.h>
}

namespace wherry::image {
namespace {

// Destroys what posix_spawn's init calls made.
struct SpawnSetup {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

// wherryd may block signals or ignore some; wherry-pull starts with the defaults.
void ResetSignals(posix_spawnattr_t* attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

// A copy above the fixed numbers, so that no dup2(2) of the child overwrites the source of a later one.
absl::StatusOr<sys::UniqueFd> CopyAbove(int fd) {
  sys::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 16));
  if (!copy.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
  return copy;
}

// The only part of wherryd's environment that a pull needs. curl does not read HTTP_PROXY in capitals, as a CGI program could be
// made to have one by a request's header "Proxy:"; operators write it all the same.
std::vector<std::string> ProxyVariables() {
  std::vector<std::string> out;
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy"}) {
    const char* value = ::getenv(absl::AsciiStrToUpper(name).c_str());
    if (value == nullptr) value = ::getenv(name);
    if (value != nullptr) out.push_back(absl::StrCat(name, "=", value));
  }
  return out;
}

absl::Status Ended(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED && info.si_status == 0) return absl::OkStatus();
  if (info.si_code == CLD_EXITED)
    return absl::InternalError(absl::StrCat("wherry-pull exited with status ", info.si_status));
  return absl::UnavailableError(absl::StrCat("wherry-pull was killed by signal ", info.si_status));
}

}  // namespace

absl::StatusOr<PullProcess> PullProcess::Start(const std::string& program, const Files& files) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return sys::Errno("socketpair");
  sys::UniqueFd ours(pair[0]), theirs(pair[1]);
  const std::array<std::pair<int, int>, 4> wanted = {
      {{theirs.get(), kControlFd}, {files.archive, kArchiveFd}, {files.staging, kStagingFd}, {files.lock, kLockFd}}};
  SpawnSetup setup;
  ResetSignals(&setup.attributes);
  std::array<sys::UniqueFd, 4> copies;
  posix_spawn_file_actions_addopen(&setup.actions, 0, "/dev/null", O_RDONLY, 0);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].first < 0) continue;
    ASSIGN_OR_RETURN(copies[i], CopyAbove(wanted[i].first));
    posix_spawn_file_actions_adddup2(&setup.actions, copies[i].get(), wanted[i].second);
  }
  std::string name = "wherry-pull", verb = files.verb != nullptr ? files.verb : files.archive < 0 ? "pull" : "import";
  char* argv[] = {name.data(), verb.data(), nullptr};
  std::vector<std::string> variables = ProxyVariables();
  std::vector<char*> environment;
  environment.reserve(variables.size() + 1);
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  pid_t pid = -1;
  if (int err = ::posix_spawn(&pid, program.c_str(), &setup.actions, &setup.attributes, argv, environment.data());
      err != 0)
    return sys::Errno(absl::StrCat("start of \"", program, "\""), err);
  sys::UniqueFd pidfd(::pidfd_open(pid, 0));
  if (!pidfd.valid()) {
    absl::Status failed = sys::Errno("pidfd_open");
    ::kill(pid, SIGKILL);  // not reaped yet: the number is still its own
    ::waitpid(pid, nullptr, 0);
    return failed;
  }
  return PullProcess(std::move(pidfd), std::move(ours));
}

absl::Status PullProcess::Wait() {
  siginfo_t info{};
  int rc = 0;
  do {
    rc = ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info, WEXITED);
  } while (rc != 0 && errno == EINTR);
  if (rc != 0) return sys::Errno("waitid of wherry-pull");
  pidfd_.reset();
  return Ended(info);
}

PullProcess::~PullProcess() {
  if (!pidfd_.valid()) return;
  ::pidfd_send_signal(pidfd_.get(), SIGKILL, nullptr, 0);
  (void)Wait();
}

}  // namespace wherry::image
