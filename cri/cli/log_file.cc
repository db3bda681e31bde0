// The runtime writes container output to a file, one entry a line, and tools read the file: that is CRI's log interface. Following it
// has one trap, rotation: the kubelet renames the file and asks the runtime to open a new one. A reader that only watches its
// descriptor stays on the old file for ever; one that reopens the path at once loses what was written to the old
// file between its last read and the switch. So the old file is read to its end once more after the new one has been
// seen, and only then left. inotify on the directory tells of appends, renames and new files alike, so nothing is polled.

#include "cri/cli/log_file.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

constexpr size_t kBlock = 64 << 10;
constexpr size_t kMaxEntry = 1 << 20;  // the runtime splits at 16 KiB; others' logs may have longer ones

absl::StatusOr<std::string> ReadAt(int fd, off_t offset, size_t size) {
  std::string out(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, out.data() + done, size - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::Errno("read the log");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  out.resize(done);
  return out;
}

bool EndsALine(absl::string_view line) {
  LogEntry entry;
  return !ParseLogEntry(line, entry) || !entry.partial;
}

}  // namespace

bool ParseLogEntry(absl::string_view line, LogEntry& entry) {
  const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
  if (parts.size() < 3 || (parts[1] != "stdout" && parts[1] != "stderr")) return false;
  // The tag may be followed by others, separated by ':'.
  const absl::string_view tag = parts[2].substr(0, parts[2].find(':'));
  if (tag != "P" && tag != "F") return false;
  entry = LogEntry{parts[0], parts[1], tag == "P", parts.size() == 4 ? parts[3] : absl::string_view()};
  return true;
}

absl::StatusOr<off_t> TailOffset(int fd, size_t lines) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return sys::Errno("fstat of the log");
  off_t begin = st.st_size;
  std::string text;  // from `begin` to the end of the entry that is looked at
  size_t found = 0;
  off_t line_begin = st.st_size;
  while (true) {
    // Each newline in `text` but the one at its end separates two entries; the later one is whole.
    size_t end = text.empty() ? std::string::npos : text.rfind('\n', text.size() - 2);
    if (text.size() < 2) end = std::string::npos;
    if (end == std::string::npos && begin > 0) {
      const off_t size = std::min<off_t>(begin, kBlock);
      ASSIGN_OR_RETURN(std::string block, ReadAt(fd, begin - size, static_cast<size_t>(size)));
      begin -= size;
      text.insert(0, block);
      continue;
    }
    const size_t start = end == std::string::npos ? 0 : end + 1;
    if (EndsALine(absl::string_view(text).substr(start)) && found++ == lines) return line_begin;
    if (end == std::string::npos) return 0;
    line_begin = begin + static_cast<off_t>(start);
    text.resize(start);
  }
}

absl::StatusOr<LogFollower> LogFollower::Open(const std::string& path, int tail, Sink sink) {
  LogFollower follower;
  follower.path_ = path;
  follower.sink_ = std::move(sink);
  // Watched before the file is opened, so that nothing happens unseen in between.
  follower.inotify_ = sys::UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!follower.inotify_.valid()) return sys::Errno("inotify_init1");
  const std::string dir = path.substr(0, path.rfind('/') + 1);
  if (::inotify_add_watch(follower.inotify_.get(), dir.c_str(), IN_CREATE | IN_MODIFY | IN_MOVED_TO) < 0)
    return sys::Errno(absl::StrCat("watch \"", dir, "\""));
  ASSIGN_OR_RETURN(follower.file_, sys::OpenAt(AT_FDCWD, path, O_RDONLY | O_NOCTTY));
  if (tail >= 0) {
    ASSIGN_OR_RETURN(off_t offset, TailOffset(follower.file_.get(), static_cast<size_t>(tail)));
    if (::lseek(follower.file_.get(), offset, SEEK_SET) < 0) return sys::Errno("lseek of the log");
  }
  return follower;
}

absl::Status LogFollower::HandOn() {
  size_t begin = 0;
  for (size_t end; (end = pending_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    LogEntry entry;
    if (ParseLogEntry(absl::string_view(pending_).substr(begin, end - begin), entry)) RETURN_IF_ERROR(sink_(entry));
  }
  pending_.erase(0, begin);
  if (pending_.size() > kMaxEntry)
    return absl::DataLossError(absl::StrCat("\"", path_, "\" is no CRI log: it has endless lines"));
  return absl::OkStatus();
}

absl::Status LogFollower::ReadOn() {
  std::vector<char> block(kBlock);
  while (true) {
    const ssize_t n = ::read(file_.get(), block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::Errno(absl::StrCat("read \"", path_, "\""));
    if (n == 0) return absl::OkStatus();
    pending_.append(block.data(), static_cast<size_t>(n));
    RETURN_IF_ERROR(HandOn());
  }
}

// True when the path is another file now, which is then open in place of the old one.
absl::StatusOr<bool> LogFollower::Reopen() {
  auto next = sys::OpenAt(AT_FDCWD, path_, O_RDONLY | O_NOCTTY);
  if (sys::IsErrno(next.status(), ENOENT)) return false;  // between the rename and the new file
  RETURN_IF_ERROR(next.status());
  struct stat now {
  }, old{};
  if (::fstat(next->get(), &now) != 0 || ::fstat(file_.get(), &old) != 0) return sys::Errno("fstat of the log");
  if (now.st_ino == old.st_ino && now.st_dev == old.st_dev) return false;
  RETURN_IF_ERROR(ReadOn());
  file_ = std::move(*next);
  pending_.clear();
  return true;
}

absl::Status LogFollower::Drain() {
  while (true) {
    RETURN_IF_ERROR(ReadOn());
    ASSIGN_OR_RETURN(bool rotated, Reopen());
    if (!rotated) return absl::OkStatus();
  }
}

void LogFollower::ClearEvents() {
  char buffer[4096];
  while (::read(inotify_.get(), buffer, sizeof buffer) > 0) {
  }
}

LogFollower::Sink PrintTo(int out, int err, bool timestamps) {
  // Whether the last entry of stdout, and of stderr, was a piece whose line goes on.
  return [out, err, timestamps, open = std::array<bool, 2>{}](const LogEntry& entry) mutable {
    const bool is_err = entry.stream == "stderr";
    std::string text = timestamps && !open[is_err] ? absl::StrCat(entry.time, " ") : "";
    absl::StrAppend(&text, entry.content, entry.partial ? "" : "\n");
    open[is_err] = entry.partial;
    return sys::WriteAll(is_err ? err : out, text);
  };
}

}  // namespace wherry::cli
