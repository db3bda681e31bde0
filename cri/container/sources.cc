// That what a container gets of the host's files is there, found out when the container is created: that is when a request can be told
// so. It is the only time that wherryd itself asks for these files, and it asks from aside (looks.h).
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/directories.h"
#include "cri/container/resources.h"
#include "runtime/selinux/selinux.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::container {
namespace {

struct Source {
  std::string field, path;    // of the request
  std::optional<int> device;  // its number; else it is a mount's
  std::string label;          // for SELinux, that it and all below it shall have; or empty
};

// What is there, as far as the kernel's caches alone can tell: that waits for nobody, and spares most requests the thread of a look.
// Linux 5.12; what an older kernel answers is "nothing".
std::optional<struct statx> Known(const std::string& path) {
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_CACHED;
  const sys::UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  struct statx seen {};
  if (!fd.valid() || ::statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &seen) != 0) return {};
  return seen;
}

// A mount's missing host path becomes a directory, as with all peers; pods that rely on it exist.
absl::StatusOr<struct statx> Ensure(const Source& source, const Looks::Say& say) {
  say(absl::StrCat(source.field, ": stat \"", source.path, "\""));
  struct statx seen {};
  if (::statx(AT_FDCWD, source.path.c_str(), 0, STATX_TYPE, &seen) == 0) return seen;
  if (errno != ENOENT || source.device)
    return sys::Annotate(sys::Errno(absl::StrCat("stat \"", source.path, "\"")), source.field);
  RETURN_IF_ERROR_CTX(MakeDirectories(source.path, 0755), source.field);
  return seen;
}

absl::StatusOr<struct statx> LookAt(const Source& source, const Looks::Say& say) {
  ASSIGN_OR_RETURN(const struct statx seen, Ensure(source, say));
  if (source.label.empty()) return seen;
  say(absl::StrCat(source.field, ": SELinux labels in \"", source.path, "\""));
  RETURN_IF_ERROR_CTX(selinux::Relabel(source.path, source.label), source.field + ".selinux_relabel");
  return seen;
}

absl::StatusOr<Looks::Seen> LookAtAll(const std::vector<Source>& sources, const Looks::Say& say) {
  Looks::Seen seen;
  for (const Source& source : sources) {
    ASSIGN_OR_RETURN(seen.emplace_back(), LookAt(source, say));
  }
  return seen;
}

absl::StatusOr<std::vector<Source>> SourcesOf(const ::runtime::v1::ContainerConfig& config, const std::string& label) {
  std::vector<Source> sources;
  for (int i = 0; i < config.mounts_size(); ++i) {
    if (config.mounts(i).has_image()) continue;
    std::string field = absl::StrCat("mounts[", i, "]");
    ASSIGN_OR_RETURN(std::string path, CleanPath(config.mounts(i).host_path(), field + ".host_path"));
    sources.push_back(
        {std::move(field), std::move(path), std::nullopt, config.mounts(i).selinux_relabel() ? label : ""});
  }
  for (int i = 0; i < config.devices_size(); ++i) {
    std::string field = absl::StrCat("devices[", i, "]");
    ASSIGN_OR_RETURN(std::string path, CleanPath(config.devices(i).host_path(), field + ".host_path"));
    sources.push_back({std::move(field), std::move(path), i, ""});
  }
  return sources;
}

absl::Status Note(const Source& source, const struct statx& seen, store::ContainerRecord& record) {
  if (!source.device) return absl::OkStatus();
  ASSIGN_OR_RETURN_CTX(store::DeviceRule rule, RuleFor(record.config().devices(*source.device), seen), source.field);
  *record.add_device_rules() = std::move(rule);
  return absl::OkStatus();
}

}  // namespace

absl::Status EnsureSources(Core& core, store::ContainerRecord& record, const std::string& label,
                           absl::FunctionRef<absl::Status()> wanted) {
  ASSIGN_OR_RETURN(std::vector<Source> sources, SourcesOf(record.config(), label));
  std::vector<Source> unknown;
  std::string key;
  for (Source& source : sources) {
    if (const auto seen = source.label.empty() ? Known(source.path) : std::nullopt) {
      RETURN_IF_ERROR(Note(source, *seen, record));
      continue;
    }
    absl::StrAppend(&key, source.path, absl::string_view("\0", 1), source.device ? "d" : "m", source.label);
    unknown.push_back(std::move(source));
  }
  if (unknown.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      const Looks::Seen seen,
      core.looks.Take(
          record.pod_id(), key, [unknown](const Looks::Say& say) { return LookAtAll(unknown, say); }, wanted));
  for (size_t i = 0; i < unknown.size(); ++i) RETURN_IF_ERROR(Note(unknown[i], seen[i], record));
  return absl::OkStatus();
}

}  // namespace wherry::container
