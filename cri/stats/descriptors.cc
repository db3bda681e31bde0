#include "cri/stats/descriptors.h"

#include <dirent.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace wherry::stats {
namespace {

constexpr uint64_t kMost = 65536;
constexpr absl::string_view kSocket = "socket:[";

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

bool IsSocket(int directory, const char* name) {
  char target[kSocket.size()];
  const ssize_t n = ::readlinkat(directory, name, target, sizeof target);
  return n > 0 && absl::string_view(target, static_cast<size_t>(n)) == kSocket;
}

}  // namespace

std::optional<Descriptors> CountDescriptors(const std::vector<int>& pids) {
  Descriptors out;
  for (int pid : pids) {
    const std::unique_ptr<DIR, CloseDir> dir(::opendir(absl::StrCat("/proc/", pid, "/fd").c_str()));
    if (dir == nullptr) continue;
    while (const dirent* entry = ::readdir(dir.get())) {
      if (entry->d_name[0] == '.') continue;
      if (++out.all > kMost) return std::nullopt;
      if (IsSocket(::dirfd(dir.get()), entry->d_name)) ++out.sockets;
    }
  }
  return out;
}

}  // namespace wherry::stats
