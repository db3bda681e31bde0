// A plugin outlives a wherryd that was killed: it may be about to make an interface for a pod that the next wherryd is
// undoing. Its environment says what it works for, and its children inherit that.

#include "cri/network/strays.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

constexpr int kDyingMs = 2000;

bool WorksForOneOf(const std::string& environment, const std::vector<std::string>& container_ids) {
  for (absl::string_view entry : absl::StrSplit(environment, '\0'))
    if (absl::ConsumePrefix(&entry, "CNI_CONTAINERID="))
      return std::find(container_ids.begin(), container_ids.end(), entry) != container_ids.end();
  return false;
}

}  // namespace

absl::Status KillStrays(const std::vector<std::string>& container_ids) {
  if (container_ids.empty()) return absl::OkStatus();
  std::vector<std::pair<pid_t, sys::UniqueFd>> dying;
  std::error_code ec;
  for (std::filesystem::directory_iterator it("/proc", ec), end; !ec && it != end; it.increment(ec)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(it->path().filename().string(), &pid) || pid == ::getpid()) continue;
    auto pidfd = sys::OpenPidfd(pid);  // first, so that it is the process whose environment is read
    auto environment = sys::ReadFileAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/environ"), 4 << 20);
    if (!pidfd.ok() || !environment.ok() || !WorksForOneOf(*environment, container_ids)) continue;
    (void)::syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0);
    dying.emplace_back(pid, *std::move(pidfd));
  }
  std::vector<pid_t> alive;
  for (const auto& [pid, pidfd] : dying) {
    pollfd entry{pidfd.get(), POLLIN, 0};
    if (::poll(&entry, 1, kDyingMs) <= 0) alive.push_back(pid);
  }
  if (alive.empty()) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("plugins of an earlier wherryd do not die: processes ", absl::StrJoin(alive, ", ")));
}

}  // namespace wherry::network
