// Limits as a transaction. The kernel has no call that sets several limits at once, so this remembers what each file held
// before it was written and puts that back, newest first, when a later one is refused. A caller that sees an error can
// rely on the container running under the limits it had (KUBELET 51: all or nothing); a half-applied resize would be reported
// by nobody. Files are read through the descriptor that writes them, one open for each.

#include "runtime/cgroup/settings.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/cgroup/limits.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

constexpr size_t kFileMax = 64 << 10;

struct Undo {
  sys::UniqueFd fd;
  std::string value;
  const Setting* setting;
};

// A limit of memory makes the kernel reclaim, which a signal interrupts.
bool Write(int fd, absl::string_view value) {
  ssize_t n;
  do n = ::pwrite(fd, value.data(), value.size(), 0);
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(value.size());
}

// The line that brings back what `old` says, for a setting of a keyed file.
std::string KeyedUndo(const Setting& setting, absl::string_view old) {
  absl::string_view key = absl::StripAsciiWhitespace(setting.value);
  key = key.substr(0, key.find(' '));
  for (absl::string_view line : absl::StrSplit(old, '\n')) {
    if (line.substr(0, line.find(' ')) == key) return std::string(line);
  }
  return absl::StrCat(key, " ", setting.reset);
}

absl::Status Refused(const Setting& setting, int err) {
  if (err == ENOENT && ::access(setting.dir.c_str(), F_OK) != 0)
    return absl::NotFoundError(absl::StrCat("cgroup \"", setting.dir, "\" does not exist"));
  std::string cause = setting.explain ? setting.explain(setting, err) : "";
  if (cause.empty() && err == ENOENT) cause = "the controller is not available in this cgroup";
  if (cause.empty() && err == ENODEV) cause = "no such block device";
  std::string reason = absl::StrCat(setting.dir, "/", setting.file, ": ", strerrordesc_np(err));
  if (!cause.empty()) absl::StrAppend(&reason, "; ", cause);
  if (err == EIO || err == ENOMEM || err == EROFS || err == EMFILE || err == ENFILE)
    return sys::Errno(absl::StrCat(setting.field, " ", setting.shown, ": ", setting.dir, "/", setting.file), err);
  return Refuse(setting.field, setting.shown, reason);
}

absl::Status WriteOne(const Setting& setting, std::vector<Undo>& done) {
  WHERRY_FAIL_POINT("cgroup.write");
  sys::UniqueFd fd(::open(absl::StrCat(setting.dir, "/", setting.file).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    if (errno == ENOENT && setting.optional && ::access(setting.dir.c_str(), F_OK) == 0) return absl::OkStatus();
    return Refused(setting, errno);
  }
  auto old = sys::ReadAll(fd.get(), kFileMax);
  if (!old.ok())
    return Refuse(setting.field, setting.shown, absl::StrCat(setting.file, " is not a setting that can be read back"));
  absl::string_view before = absl::StripAsciiWhitespace(*old);
  if (before == absl::StripAsciiWhitespace(setting.value)) return absl::OkStatus();
  std::string undo = setting.keyed ? KeyedUndo(setting, before) : absl::StrCat(before, "\n");
  if (!Write(fd.get(), setting.value)) return Refused(setting, errno);
  done.push_back(Undo{std::move(fd), std::move(undo), &setting});
  return absl::OkStatus();
}

// Puts the old values back; returns what could not be, as text to add to the error.
std::string RollBack(std::vector<Undo>& done) {
  std::string failed;
  for (; !done.empty(); done.pop_back()) {
    const Undo& undo = done.back();
    if (!Write(undo.fd.get(), undo.value))
      absl::StrAppend(&failed, "; restoring ", undo.setting->file, " failed: ", strerrordesc_np(errno));
  }
  return failed;
}

}  // namespace

absl::Status WriteAllOrNone(const std::vector<Setting>& settings) {
  std::vector<Undo> done;
  for (const Setting& setting : settings) {
    absl::Status status = WriteOne(setting, done);
    if (status.ok()) continue;
    std::string failed = RollBack(done);
    return failed.empty() ? status : absl::InternalError(absl::StrCat(status.message(), failed));
  }
  return absl::OkStatus();
}

}  // namespace wherry::cgroup
