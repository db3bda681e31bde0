// A program is spawned with the parent's memory shared until execve (posix_spawn), because copying wherryd's page tables
// would cost more than a small program itself. Its input goes through a memfd, so that nobody waits for anybody: a program that
// never reads, or writes for ever, only meets the deadline or the bound. It leads a process group, because killing a shell
// script alone would leave the command it waits for, which then goes on (changing the network, say) behind our back.

#include "runtime/sys/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::sys {
namespace {

constexpr std::chrono::seconds kDyingTime{5};
// A pipe holds 64 KiB, so this many reads of 16 KiB take all that was written before the program's end.
constexpr int kReadsAfterEnd = 16;

using Clock = Children::Clock;

int MillisecondsUntil(Clock::time_point when) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60000));
}

struct Pipe {
  sys::UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  return Pipe{sys::UniqueFd(fds[0]), sys::UniqueFd(fds[1])};
}

absl::StatusOr<sys::UniqueFd> InputFile(const std::string& text) {
  sys::UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file.valid()) return sys::Errno("memfd_create \"input\"");
  RETURN_IF_ERROR(sys::WriteAll(file.get(), text));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys::Errno("lseek");
  return file;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 2);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// The error number, or 0.
int Spawn(const Children::Command& command, const int (&stdio)[3], pid_t* pid) {
  std::vector<char*> argv = Pointers(command.arguments), env = Pointers(command.environment);
  argv.insert(argv.begin(), const_cast<char*>(command.program.c_str()));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int i = 0; i < 3; ++i) posix_spawn_file_actions_adddup2(&actions, stdio[i], i);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error = ::posix_spawn(pid, command.program.c_str(), &actions, &attributes, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

// Takes what is there; false at end of file. More than the bound is read and dropped.
bool Take(int fd, std::string& into) {
  char buffer[16384];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n <= 0) return n < 0 && errno == EINTR;
  const size_t room = Children::kMaxOutput + 1 - into.size();
  into.append(buffer, std::min(static_cast<size_t>(n), room));
  return true;
}

}  // namespace

// A spawned program, killed with its group unless it was reaped.
class Children::Child {
 public:
  Child(Children& owner, pid_t pid) : owner_(owner), pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);  // not reaped yet: the number is still its own, and so is the group
    if (AwaitEnd(Clock::now() + kDyingTime)) {
      (void)Reap();
      return;
    }
    absl::MutexLock lock(&owner_.mutex_);
    owner_.stuck_.push_back(pid_);
  }

  absl::Status Open() {
    ASSIGN_OR_RETURN(pidfd_, sys::OpenPidfd(pid_));
    return absl::OkStatus();
  }
  // Reads both streams until both have ended or the program has (a daemon that it left behind may keep them open).
  struct Watched {
    int out, err, cancel;
  };
  absl::Status Collect(const Watched& watched, Clock::time_point deadline, Ended& ended) const {
    pollfd fds[4] = {
        {watched.out, POLLIN, 0}, {watched.err, POLLIN, 0}, {pidfd_.get(), POLLIN, 0}, {watched.cancel, POLLRDHUP, 0}};
    for (int after_end = 0; (fds[0].fd >= 0 || fds[1].fd >= 0) && after_end < kReadsAfterEnd;) {
      const int timeout = MillisecondsUntil(deadline);
      if (timeout == 0) return absl::DeadlineExceededError("did not end in time and was killed");
      const int ready = ::poll(fds, 4, timeout);
      if (ready < 0 && errno != EINTR) return sys::Errno("poll");
      if (ready <= 0) continue;
      if (fds[3].revents != 0) return absl::CancelledError("was killed since nobody waits for it any more");
      bool took = false;
      for (int i = 0; i < 2; ++i) {
        if (fds[i].fd < 0 || fds[i].revents == 0) continue;
        took = true;
        if (!Take(fds[i].fd, i == 0 ? ended.output : ended.errors)) fds[i].fd = -1;
      }
      if (fds[2].revents == 0) continue;
      if (!took) break;
      ++after_end;
    }
    if (AwaitEnd(deadline)) return absl::OkStatus();
    return absl::DeadlineExceededError("closed its output but did not end in time and was killed");
  }
  int Reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  bool AwaitEnd(Clock::time_point deadline) const {
    while (true) {
      pollfd entry{pidfd_.get(), POLLIN, 0};
      const int timeout = MillisecondsUntil(deadline);
      const int n = ::poll(&entry, 1, timeout);
      if (n > 0) return true;
      if (timeout == 0 || (n < 0 && errno != EINTR)) return false;
    }
  }

  Children& owner_;
  pid_t pid_;
  sys::UniqueFd pidfd_;
};

absl::StatusOr<Children::Ended> Children::Run(const Command& command, Clock::time_point deadline, int cancel) {
  ReapStuck();
  ASSIGN_OR_RETURN(sys::UniqueFd in, InputFile(command.input));
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  pid_t pid = -1;
  if (int error = Spawn(command, {in.get(), out.write.get(), err.write.get()}, &pid); error != 0)
    return sys::Errno(absl::StrCat("posix_spawn \"", command.program, "\""), error);
  Child child(*this, pid);
  out.write.reset();
  err.write.reset();
  RETURN_IF_ERROR(child.Open());
  Ended ended;
  absl::Status status = child.Collect({out.read.get(), err.read.get(), cancel}, deadline, ended);
  if (!status.ok()) {
    const std::string said = Excerpt(ended.errors);
    return said.empty() ? status : absl::Status(status.code(), absl::StrCat(status.message(), "; it wrote: ", said));
  }
  ended.status = child.Reap();
  return ended;
}

void Children::ReapStuck() {
  absl::MutexLock lock(&mutex_);
  stuck_.erase(
      std::remove_if(stuck_.begin(), stuck_.end(), [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; }),
      stuck_.end());
}

std::string Excerpt(const std::string& text) {
  constexpr size_t kEach = 1000;
  std::string line(absl::StripAsciiWhitespace(text));
  if (line.size() > 2 * kEach) line = absl::StrCat(line.substr(0, kEach), " … ", line.substr(line.size() - kEach));
  // Whatever is not a character stays out of logs and gRPC messages; bytes of UTF-8 stay.
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return line;
}

}  // namespace wherry::sys
