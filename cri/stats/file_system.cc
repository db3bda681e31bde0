#include "cri/stats/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <vector>

#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::stats {
namespace {

constexpr size_t kMountTable = 16 << 20;

// The source of mount `id`, as /proc/self/mountinfo tells it (proc_pid_mountinfo(5)); "" when it cannot be found.
std::string SourceOf(uint64_t id) {
  auto table = sys::ReadFileAt(AT_FDCWD, "/proc/self/mountinfo", kMountTable);
  if (!table.ok()) return "";
  const std::string start = absl::StrCat(id, " ");
  for (absl::string_view line : absl::StrSplit(*table, '\n')) {
    if (line.substr(0, start.size()) != start) continue;
    const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<absl::string_view> type_and_source = absl::StrSplit(halves.second, ' ');
    return type_and_source.size() < 2 ? "" : std::string(type_and_source[1]);
  }
  return "";
}

}  // namespace

std::string DeviceName(unsigned major, unsigned minor) {
  char target[PATH_MAX];
  const ssize_t n = ::readlink(absl::StrCat("/sys/dev/block/", major, ":", minor).c_str(), target, sizeof target);
  if (n <= 0) return "";
  std::string name(target, static_cast<size_t>(n));
  name.erase(0, name.rfind('/') + 1);
  std::replace(name.begin(), name.end(), '!', '/');  // as the kernel writes "cciss/c0d0"
  return "/dev/" + name;
}

absl::StatusOr<FileSystem> ReadFileSystem(const std::string& path) {
  struct statvfs numbers;
  struct statx place;
  if (::statvfs(path.c_str(), &numbers) != 0) return sys::Errno(absl::StrCat("statvfs \"", path, "\""));
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &place) != 0)
    return sys::Errno(absl::StrCat("statx \"", path, "\""));
  FileSystem out;
  out.device = DeviceName(place.stx_dev_major, place.stx_dev_minor);
  if (out.device.empty()) out.device = SourceOf(place.stx_mnt_id);
  out.bytes = static_cast<uint64_t>(numbers.f_blocks) * numbers.f_frsize;
  out.inodes = numbers.f_files;
  out.inodes_free = numbers.f_ffree;
  return out;
}

}  // namespace wherry::stats
