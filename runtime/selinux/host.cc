// Which policy is in use is said by /etc/selinux/config alone: the kernel knows it without a name. Where the contexts of containers are
// follows libselinux' other users, containers-common's file first.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "runtime/selinux/layers.h"
#include "runtime/selinux/selinux.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::selinux {
namespace {

constexpr char kFilesystem[] = "/sys/fs/selinux";

std::string PolicyName(const std::string& root) {
  auto text = sys::ReadFileAt(AT_FDCWD, root + "/etc/selinux/config");
  if (!text.ok()) return "targeted";
  const std::string name = ParseContexts(*text)["SELINUXTYPE"];
  return name.empty() || name.find('/') != std::string::npos ? "targeted" : name;
}

using Contexts = std::map<std::string, std::string>;

// With both of "process" and "file" in it.
absl::StatusOr<Contexts> ReadContexts(const std::string& root) {
  const std::string files[] = {root + "/usr/share/containers/selinux/contexts",
                               absl::StrCat(root, "/etc/selinux/", PolicyName(root), "/contexts/lxc_contexts")};
  for (const std::string& file : files) {
    auto text = sys::ReadFileAt(AT_FDCWD, file);
    if (!text.ok()) continue;
    Contexts contexts = ParseContexts(*text);
    for (const char* key : {"process", "file"})
      RETURN_IF_ERROR_CTX(Parse(contexts[key]).status(), absl::StrCat("\"", file, "\", key \"", key, "\""));
    return contexts;
  }
  return absl::FailedPreconditionError(absl::StrCat("no SELinux labels for containers: neither ",
                                                    absl::StrJoin(files, " nor "),
                                                    " can be read; install container-selinux"));
}

}  // namespace

absl::Status CheckHost() {
  struct statfs fs {};
  if (::statfs(kFilesystem, &fs) != 0 || static_cast<uint32_t>(fs.f_type) != SELINUX_MAGIC)
    return absl::UnimplementedError("this host has no SELinux");
  // Without a policy every process is this.
  auto own = sys::ReadFileAt(AT_FDCWD, "/proc/self/attr/current", 4096);
  if (!own.ok() || own->c_str() == std::string("kernel"))
    return absl::UnimplementedError("this host's SELinux has no policy");
  return absl::OkStatus();
}

absl::StatusOr<Labels> DefaultLabels(const std::string& root) {
  ASSIGN_OR_RETURN(Contexts contexts, ReadContexts(root));
  return Labels{contexts["process"], contexts["file"]};
}

absl::StatusOr<std::string> LayerLabel(const std::string& root) {
  ASSIGN_OR_RETURN(Contexts contexts, ReadContexts(root));
  return contexts["ro_file"].empty() ? contexts["file"] : contexts["ro_file"];
}

absl::StatusOr<std::string> Canonical(const std::string& label) {
  const std::string path = absl::StrCat(kFilesystem, "/context");
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(AT_FDCWD, path, O_RDWR));
  if (::write(file.get(), label.c_str(), label.size() + 1) < 0) {
    if (errno != EINVAL) return sys::Errno(absl::StrCat("write \"", label, "\" to \"", path, "\""));
    return absl::InvalidArgumentError(absl::StrCat("SELinux label \"", label,
                                                   "\": this node's policy does not know its user, role, type or "
                                                   "level, or does not allow them together"));
  }
  ASSIGN_OR_RETURN_CTX(std::string text, sys::ReadAll(file.get(), 1 << 16), path);
  return std::string(text.c_str());
}

}  // namespace wherry::selinux
