// The files are a stranger's, and may be written to meanwhile. So each is opened by name below a directory that is open, with no symbolic
// link followed and no mount crossed, and gets its label through the descriptor. Directories that are still to be visited are kept as paths
// below the top, which need no descriptor each however deep a tree is; a path longer than the kernel takes ends the walk with an error.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/selinux/layers.h"
#include "runtime/selinux/selinux.h"
#include "runtime/sys/file.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::selinux {
namespace {

constexpr char kAttribute[] = "security.selinux";
constexpr size_t kMaxPending = 1 << 20;

// What no volume of a pod may be: with containers' label, the host would be theirs, and its own services would be denied it.
constexpr const char* kHostsOwn[] = {"/",        "/bin",        "/boot", "/dev", "/etc",     "/etc/passwd",
                                     "/etc/pki", "/etc/shadow", "/home", "/lib", "/lib64",   "/media",
                                     "/opt",     "/proc",       "/root", "/run", "/sbin",    "/srv",
                                     "/sys",     "/tmp",        "/usr",  "/var", "/var/lib", "/var/log"};

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

// By what it is, so that no symbolic link or bind mount leads around the list.
absl::Status CheckNotTheHosts(const sys::UniqueFd& top, const std::string& path) {
  struct statx asked {};
  if (::statx(top.get(), "", AT_EMPTY_PATH, STATX_INO, &asked) != 0)
    return sys::Errno(absl::StrCat("stat \"", path, "\""));
  for (const char* own : kHostsOwn) {
    struct statx there {};
    if (::statx(AT_FDCWD, own, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_INO, &there) != 0) continue;
    if (there.stx_ino == asked.stx_ino && there.stx_dev_major == asked.stx_dev_major &&
        there.stx_dev_minor == asked.stx_dev_minor)
      return absl::InvalidArgumentError(absl::StrCat("\"", path, "\" is the host's own \"", own,
                                                     "\", which must not get a container's SELinux label"));
  }
  return absl::OkStatus();
}

class Tree {
 public:
  Tree(const std::string& path, const std::string& label, sys::UniqueFd top)
      : path_(path), label_(label), top_(std::move(top)) {}

  bool TopHasLabel() const { return HasLabel(absl::StrCat("/proc/self/fd/", top_.get())); }

  absl::Status Walk() {
    struct stat st {};
    if (::fstat(top_.get(), &st) != 0) return sys::Errno(absl::StrCat("stat \"", path_, "\""));
    if (S_ISDIR(st.st_mode)) pending_.emplace_back(".");
    while (!pending_.empty()) {
      const std::string directory = std::move(pending_.back());
      pending_.pop_back();
      RETURN_IF_ERROR(Visit(directory));
    }
    // Last, as others do it: who finds the top labelled may take the rest for labelled.
    return Label(top_.get(), "");
  }

 private:
  // What went away or became something else since it was seen is none of ours; and what another file system is mounted on is covered.
  static bool Gone(const absl::Status& status) {
    return sys::IsErrno(status, ENOENT) || sys::IsErrno(status, ENOTDIR) || sys::IsErrno(status, ELOOP) ||
           sys::IsErrno(status, EXDEV);
  }

  absl::Status InTree(const absl::Status& status) const {
    return sys::Annotate(status, absl::StrCat("in \"", path_, "\""));
  }

  absl::Status Visit(const std::string& directory) {
    auto fd = sys::OpenBeneath(top_.get(), directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd.ok()) return Gone(fd.status()) ? absl::OkStatus() : InTree(fd.status());
    const Dir dir(::fdopendir(fd->get()));
    if (dir == nullptr) return InTree(sys::Errno("fdopendir"));
    const int at = fd->release();
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr)
        return errno == 0 ? absl::OkStatus() : sys::Errno(absl::StrCat("readdir in \"", path_, "\""));
      const std::string name = entry->d_name;
      if (name != "." && name != "..") RETURN_IF_ERROR(VisitEntry(at, directory, name));
    }
  }

  absl::Status VisitEntry(int at, const std::string& directory, const std::string& name) {
    auto entry = sys::OpenBeneath(at, name, O_PATH | O_NOFOLLOW);
    if (!entry.ok()) return Gone(entry.status()) ? absl::OkStatus() : InTree(entry.status());
    const std::string below = absl::StrCat(directory, "/", name);
    RETURN_IF_ERROR(Label(entry->get(), below));
    struct stat st {};
    if (::fstat(entry->get(), &st) != 0) return sys::Errno(absl::StrCat("stat \"", below, "\" in \"", path_, "\""));
    if (!S_ISDIR(st.st_mode)) return absl::OkStatus();
    if (pending_.size() == kMaxPending)
      return absl::ResourceExhaustedError(absl::StrCat("\"", path_, "\" has too many directories for a new label"));
    pending_.push_back(below);
    return absl::OkStatus();
  }

  bool HasLabel(const std::string& file) const {
    std::string now(label_.size() + 2, '\0');
    return ::getxattr(file.c_str(), kAttribute, now.data(), now.size()) >= 0 && now.c_str() == label_;
  }

  // Through procfs, because the kernel's calls for attributes take no descriptor that is only a path (before Linux 6.13).
  absl::Status Label(int fd, const std::string& below) const {
    const std::string file = absl::StrCat("/proc/self/fd/", fd);
    if (HasLabel(file)) return absl::OkStatus();
    if (::setxattr(file.c_str(), kAttribute, label_.c_str(), label_.size() + 1, 0) == 0 || errno == ENOTSUP)
      return absl::OkStatus();
    return sys::Errno(
        absl::StrCat("SELinux label \"", label_, "\" for \"", path_, below.empty() ? "" : below.substr(1), "\""));
  }

  const std::string& path_;
  const std::string& label_;
  const sys::UniqueFd top_;
  std::vector<std::string> pending_;  // paths below the top, each with "." before it
};

}  // namespace

absl::Status Relabel(const std::string& path, const std::string& label) {
  ASSIGN_OR_RETURN(sys::UniqueFd top, sys::OpenAt(AT_FDCWD, path, O_PATH));
  RETURN_IF_ERROR(CheckNotTheHosts(top, path));
  return Tree(path, label, std::move(top)).Walk();
}

absl::Status RelabelOwn(const std::string& path, const std::string& label) {
  ASSIGN_OR_RETURN(sys::UniqueFd top, sys::OpenAt(AT_FDCWD, path, O_PATH));
  return Tree(path, label, std::move(top)).Walk();
}

absl::Status LabelLayers(const std::string& store, const std::string& label) {
  for (const char* name : {"/staging", "/layers"}) {
    const std::string path = store + name;
    ASSIGN_OR_RETURN(sys::UniqueFd top, sys::OpenAt(AT_FDCWD, path, O_PATH));
    Tree tree(path, label, std::move(top));
    if (!tree.TopHasLabel()) RETURN_IF_ERROR(tree.Walk());
  }
  return absl::OkStatus();
}

}  // namespace wherry::selinux
