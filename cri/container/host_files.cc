#include "cri/container/host_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cri/container/directories.h"
#include "runtime/selinux/selinux.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::container {
namespace {

constexpr unsigned kWanted = STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID;

// What is there, as far as the kernel's caches alone can tell: that waits for nobody, and spares most requests the thread of a look.
// Linux 5.12; what an older kernel answers is "nothing".
std::optional<struct statx> Known(const HostFile& file) {
  if (!file.label.empty()) return {};
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC | (file.follow ? 0U : O_NOFOLLOW);
  how.resolve = RESOLVE_CACHED;
  const sys::UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, file.path.c_str(), &how, sizeof how)));
  struct statx seen {};
  if (!fd.valid() || ::statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, kWanted, &seen) != 0) return {};
  return seen;
}

absl::StatusOr<struct statx> Ensure(const HostFile& file, const Looks::Say& say) {
  say(absl::StrCat(file.field, ": stat \"", file.path, "\""));
  struct statx seen {};
  if (::statx(AT_FDCWD, file.path.c_str(), file.follow ? 0 : AT_SYMLINK_NOFOLLOW, kWanted, &seen) == 0) return seen;
  if (errno != ENOENT || !file.make)
    return sys::Annotate(sys::Errno(absl::StrCat("stat \"", file.path, "\"")), file.field);
  RETURN_IF_ERROR_CTX(MakeDirectories(file.path, 0755), file.field);
  return seen;
}

absl::StatusOr<struct statx> LookAt(const HostFile& file, const Looks::Say& say) {
  ASSIGN_OR_RETURN(const struct statx seen, Ensure(file, say));
  if (file.label.empty()) return seen;
  say(absl::StrCat(file.field, ": SELinux labels in \"", file.path, "\""));
  RETURN_IF_ERROR_CTX(selinux::Relabel(file.path, file.label), file.field + ".selinux_relabel");
  return seen;
}

absl::StatusOr<Looks::Seen> LookAtAll(const std::vector<HostFile>& files, const Looks::Say& say) {
  Looks::Seen seen;
  for (const HostFile& file : files) {
    ASSIGN_OR_RETURN(seen.emplace_back(), LookAt(file, say));
  }
  return seen;
}

// Two looks at the same are one.
std::string Key(const std::vector<HostFile>& files) {
  std::string key;
  for (const HostFile& file : files)
    absl::StrAppend(&key, file.path, absl::string_view("\0", 1), file.make, file.follow, file.label,
                    absl::string_view("\0", 1));
  return key;
}

}  // namespace

absl::StatusOr<Looks::Seen> LookAtHost(Looks& looks, const std::string& pod, const std::vector<HostFile>& files,
                                       Wanted wanted) {
  Looks::Seen all(files.size());
  std::vector<HostFile> unknown;
  std::vector<size_t> places;
  for (size_t i = 0; i < files.size(); ++i) {
    if (const auto seen = Known(files[i])) {
      all[i] = *seen;
    } else {
      unknown.push_back(files[i]);
      places.push_back(i);
    }
  }
  if (unknown.empty()) return all;
  ASSIGN_OR_RETURN(
      const Looks::Seen seen,
      looks.Take(
          pod, Key(unknown), [unknown](const Looks::Say& say) { return LookAtAll(unknown, say); }, wanted));
  for (size_t i = 0; i < places.size(); ++i) all[places[i]] = seen[i];
  return all;
}

}  // namespace wherry::container
