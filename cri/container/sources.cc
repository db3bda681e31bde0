// That what a container's mounts are of is there, found out when the container is created: that is when a request can be told so.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/directories.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::container {
namespace {

using Sources = std::vector<std::pair<std::string, std::string>>;  // the field of the request, and the path

// Whether it is there, as far as the kernel's caches alone can tell: that waits for nobody, and spares most requests the thread of a
// look. Linux 5.12; what an older kernel answers is "no".
bool IsKnown(const std::string& path) {
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_CACHED;
  return sys::UniqueFd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how))).valid();
}

// A missing host path becomes a directory, as with all peers; pods that rely on it exist.
absl::Status Ensure(const Sources& sources, const Looks::Say& say) {
  for (const auto& [field, path] : sources) {
    say(absl::StrCat(field, ": stat \"", path, "\""));
    struct stat st;
    if (::stat(path.c_str(), &st) == 0) continue;
    if (errno != ENOENT) return sys::Annotate(sys::Errno(absl::StrCat("stat \"", path, "\"")), field);
    RETURN_IF_ERROR_CTX(MakeDirectories(path, 0755), field);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status EnsureSources(Core& core, const store::ContainerRecord& record, absl::FunctionRef<absl::Status()> wanted) {
  Sources sources;
  std::string key;
  for (int i = 0; i < record.config().mounts_size(); ++i) {
    const ::runtime::v1::Mount& mount = record.config().mounts(i);
    if (mount.has_image()) continue;
    std::string field = absl::StrCat("mounts[", i, "]");
    ASSIGN_OR_RETURN(std::string path, CleanPath(mount.host_path(), field + ".host_path"));
    if (IsKnown(path)) continue;
    absl::StrAppend(&key, path, absl::string_view("\0", 1));
    sources.emplace_back(std::move(field), std::move(path));
  }
  if (sources.empty()) return absl::OkStatus();
  return core.looks.Take(
      record.pod_id(), key, [sources](const Looks::Say& say) { return Ensure(sources, say); }, wanted);
}

}  // namespace wherry::container
