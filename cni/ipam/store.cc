#include "cni/ipam/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::ipam {
namespace {

constexpr char kLineBreak[] = "\r\n";
constexpr char kTemporary[] = "wherry.tmp";  // one is enough: it is written under the lock
constexpr size_t kMaxLeaseBytes = 4096;

constexpr char kBootAttribute[] = "trusted.wherry.boot_id";
constexpr char kBootId[] = "/proc/sys/kernel/random/boot_id";

struct DirCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};

absl::Status MakeDirectories(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  if (errno != ENOENT) return sys::Errno(absl::StrCat("mkdir \"", path, "\""));
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return sys::Errno(absl::StrCat("mkdir \"", path, "\""), ENOENT);
  RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash)));
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return sys::Errno(absl::StrCat("mkdir \"", path, "\""));
}

std::string LastReservedName(size_t index) { return absl::StrCat("last_reserved_ip.", index); }

Lease ParseLease(const cni::IpAddress& address, absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const size_t end = text.find(kLineBreak);
  if (end == absl::string_view::npos) return {address, std::string(text), ""};
  return {address, std::string(text.substr(0, end)), std::string(text.substr(end + 2))};
}

}  // namespace

bool Lease::HeldBy(const cni::Attachment& attachment) const {
  return container_id == attachment.container_id && (ifname.empty() || ifname == attachment.ifname);
}

absl::StatusOr<Store> Store::Open(const std::string& directory) {
  absl::StatusOr<sys::UniqueFd> fd = sys::OpenAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  if (!fd.ok() && sys::IsErrno(fd.status(), ENOENT)) {
    RETURN_IF_ERROR(MakeDirectories(directory));
    fd = sys::OpenAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  }
  RETURN_IF_ERROR(fd.status());
  ASSIGN_OR_RETURN(sys::UniqueFd lock, sys::OpenAt(fd->get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  while (flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return sys::Errno(absl::StrCat("flock \"", directory, "/lock\""));
  }
  ASSIGN_OR_RETURN(std::string boot_id, sys::ReadFileAt(AT_FDCWD, kBootId, kMaxLeaseBytes));
  absl::StripAsciiWhitespace(&boot_id);
  return Store(*std::move(fd), std::move(lock), directory, std::move(boot_id));
}

// A lease without the attribute is the reference's, or from a file system that has none: nobody knows.
bool Store::IsOfAnotherBoot(int lease) const {
  std::array<char, 64> value{};
  const ssize_t size = fgetxattr(lease, kBootAttribute, value.data(), value.size());
  return size > 0 && boot_id_ != absl::string_view(value.data(), static_cast<size_t>(size));
}

absl::StatusOr<std::vector<Lease>> Store::Leases() {
  // A descriptor of its own: reading a directory moves the offset, which duplicates share.
  ASSIGN_OR_RETURN(sys::UniqueFd fd, sys::OpenAt(directory_.get(), ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, DirCloser> entries(fdopendir(fd.get()));
  if (!entries) return sys::Errno(absl::StrCat("opendir \"", path_, "\""));
  (void)fd.release();  // the stream closes it
  std::vector<Lease> out;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(entries.get());
    if (entry == nullptr && errno != 0) return sys::Errno(absl::StrCat("read directory \"", path_, "\""));
    if (entry == nullptr) return out;
    absl::StatusOr<cni::IpAddress> address = cni::IpAddress::Parse(entry->d_name);
    if (!address.ok()) continue;
    ASSIGN_OR_RETURN_CTX(sys::UniqueFd lease, sys::OpenAt(directory_.get(), entry->d_name, O_RDONLY | O_NOFOLLOW),
                         path_);
    ASSIGN_OR_RETURN_CTX(std::string text, sys::ReadAll(lease.get(), kMaxLeaseBytes), path_);
    if (text.empty() || IsOfAnotherBoot(lease.get())) {
      RETURN_IF_ERROR(Release(*address));
    } else {
      out.push_back(ParseLease(*address, text));
    }
  }
}

absl::Status Store::Reserve(const cni::IpAddress& address, const cni::Attachment& attachment) {
  const std::string name = address.ToString();
  const int dir = directory_.get();
  WHERRY_FAIL_POINT("ipam.write");
  ASSIGN_OR_RETURN_CTX(sys::UniqueFd file,
                       sys::OpenAt(dir, kTemporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600), path_);
  RETURN_IF_ERROR_CTX(sys::WriteAll(file.get(), absl::StrCat(attachment.container_id, kLineBreak, attachment.ifname)),
                      absl::StrCat("\"", path_, "/", kTemporary, "\""));
  if (fsetxattr(file.get(), kBootAttribute, boot_id_.data(), boot_id_.size(), 0) != 0 && errno != ENOTSUP &&
      errno != EPERM)
    return sys::Errno(absl::StrCat("fsetxattr \"", path_, "/", kTemporary, "\""));
  WHERRY_FAIL_POINT("ipam.rename");
  if (renameat2(dir, kTemporary, dir, name.c_str(), RENAME_NOREPLACE) == 0) return absl::OkStatus();
  // NFS has no such rename. Under the lock, looking first is as good.
  if (errno == EINVAL && faccessat(dir, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
      renameat(dir, kTemporary, dir, name.c_str()) == 0)
    return absl::OkStatus();
  return sys::Errno(absl::StrCat("rename lease to \"", path_, "/", name, "\""));
}

absl::Status Store::Release(const cni::IpAddress& address) {
  const std::string name = address.ToString();
  WHERRY_FAIL_POINT("ipam.release");
  if (unlinkat(directory_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  return sys::Errno(absl::StrCat("unlink \"", path_, "/", name, "\""));
}

cni::IpAddress Store::LastReserved(size_t index) {
  // A missing or damaged record only means that the search starts at the front.
  absl::StatusOr<std::string> text = sys::ReadFileAt(directory_.get(), LastReservedName(index), kMaxLeaseBytes);
  if (!text.ok()) return {};
  return cni::IpAddress::Parse(*text).value_or(cni::IpAddress());
}

absl::Status Store::SetLastReserved(size_t index, const cni::IpAddress& address) {
  WHERRY_FAIL_POINT("ipam.last");
  ASSIGN_OR_RETURN_CTX(sys::UniqueFd file,
                       sys::OpenAt(directory_.get(), LastReservedName(index), O_WRONLY | O_CREAT | O_TRUNC, 0600),
                       path_);
  RETURN_IF_ERROR_CTX(sys::WriteAll(file.get(), address.ToString()),
                      absl::StrCat("\"", path_, "/", LastReservedName(index), "\""));
  return absl::OkStatus();
}

}  // namespace wherry::ipam
