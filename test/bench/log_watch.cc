#include "test/bench/log_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <array>

namespace wherry::bench {

absl::StatusOr<LogWatch> LogWatch::Make() {
  sys::UniqueFd fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd.valid()) return sys::Errno("inotify_init1");
  return LogWatch(std::move(fd));
}

absl::Status LogWatch::Watch(const std::string& dir) {
  if (watch_ >= 0) inotify_rm_watch(fd_.get(), watch_);
  watch_ = inotify_add_watch(fd_.get(), dir.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  if (watch_ < 0) return sys::Errno(absl::StrCat("inotify_add_watch \"", dir, "\""));
  dir_ = dir;
  return absl::OkStatus();
}

absl::Status LogWatch::WaitForByte(const std::string& name) {
  const std::string path = absl::StrCat(dir_, "/", name);
  while (true) {
    struct stat info = {};
    if (stat(path.c_str(), &info) == 0 && info.st_size > 0) return absl::OkStatus();
    pollfd ready = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
    int n = poll(&ready, 1, 60'000);
    if (n == 0) return absl::DeadlineExceededError(absl::StrCat("\"", path, "\" stayed empty for 60 s"));
    if (n < 0 && errno != EINTR) return sys::Errno("poll");
    // What happened does not matter: the file's size tells all.
    std::array<char, 4096> events;
    while (read(fd_.get(), events.data(), events.size()) > 0) {
    }
  }
}

}  // namespace wherry::bench
