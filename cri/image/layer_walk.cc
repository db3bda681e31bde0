#include "cri/image/layer_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxXattrs = 64 << 10;  // of names and of a value, see xattr(7)

bool IsKept(absl::string_view key) {
  return key == "security.capability" || absl::StartsWith(key, "user.") || absl::StartsWith(key, "trusted.overlay.");
}

absl::Status ReadXattrs(int fd, pb::IndexNode& node) {
  std::string names(kMaxXattrs, '\0');
  const ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0 && errno == ENOTSUP) return absl::OkStatus();
  if (size < 0) return sys::Errno("flistxattr");
  names.resize(static_cast<size_t>(size));
  std::vector<std::string> keys = absl::StrSplit(names, '\0', absl::SkipEmpty());
  std::sort(keys.begin(), keys.end());
  for (const std::string& key : keys) {
    if (!IsKept(key)) continue;
    std::string value(kMaxXattrs, '\0');
    const ssize_t n = ::fgetxattr(fd, key.c_str(), value.data(), value.size());
    if (n < 0) return sys::Errno(absl::StrCat("fgetxattr \"", key, "\""));
    value.resize(static_cast<size_t>(n));
    pb::IndexNode::Xattr* to = node.add_xattrs();
    to->set_key(key);
    to->set_value(std::move(value));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Names(int dir) {
  ASSIGN_OR_RETURN(sys::UniqueFd copy, sys::OpenAt(dir, ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), ::closedir);
  if (stream == nullptr) return sys::Errno("fdopendir");
  (void)copy.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* e = ::readdir(stream.get())) {
    const absl::string_view name = e->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return sys::Errno("readdir");
  std::sort(names.begin(), names.end());
  return names;
}

class Walk {
 public:
  Walk(bool xattrs, const std::function<absl::Status(const pb::IndexNode&)>& take) : xattrs_(xattrs), take_(take) {}

  absl::Status Run(int root) {
    ASSIGN_OR_RETURN(sys::UniqueFd top, sys::OpenAt(root, ".", O_RDONLY | O_DIRECTORY));
    RETURN_IF_ERROR(Enter(std::move(top), ""));
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.next == level.names.size()) {
        levels_.pop_back();
        continue;
      }
      const std::string name = level.names[level.next++];
      const std::string path = level.path.empty() ? name : absl::StrCat(level.path, "/", name);
      if (absl::Status status = One(level.dir.get(), name, path); !status.ok()) return sys::Annotate(status, path);
    }
    return absl::OkStatus();
  }

 private:
  // One directory on the way down; a stack in place of recursion, since the depth is the layer author's choice.
  struct Level {
    sys::UniqueFd dir;
    std::string path;
    std::vector<std::string> names;
    size_t next = 0;
  };

  absl::Status Enter(sys::UniqueFd dir, const std::string& path) {
    struct stat st {};
    if (::fstat(dir.get(), &st) != 0) return sys::Errno("fstat");
    pb::IndexNode node = Describe(st, path);
    if (xattrs_) RETURN_IF_ERROR(ReadXattrs(dir.get(), node));
    RETURN_IF_ERROR(take_(node));
    ASSIGN_OR_RETURN(std::vector<std::string> names, Names(dir.get()));
    levels_.push_back({std::move(dir), path, std::move(names)});
    return absl::OkStatus();
  }

  absl::Status One(int dir, const std::string& name, const std::string& path) {
    struct stat st {};
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return sys::Errno("fstatat");
    if (S_ISDIR(st.st_mode)) {
      ASSIGN_OR_RETURN(sys::UniqueFd below, sys::OpenAt(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      return Enter(std::move(below), path);
    }
    pb::IndexNode node = Describe(st, path);
    if (S_ISLNK(st.st_mode)) {
      std::string target(static_cast<size_t>(st.st_size) + 1, '\0');
      const ssize_t n = ::readlinkat(dir, name.c_str(), target.data(), target.size());
      if (n < 0) return sys::Errno("readlinkat");
      target.resize(static_cast<size_t>(n));
      node.set_target(std::move(target));
    }
    if (st.st_nlink > 1) {
      auto [first, added] = inodes_.emplace(st.st_ino, path);
      if (!added) node.set_link(first->second);
    }
    if (xattrs_ && S_ISREG(st.st_mode)) {
      ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
      RETURN_IF_ERROR(ReadXattrs(file.get(), node));
    }
    return take_(node);
  }

  static pb::IndexNode Describe(const struct stat& st, const std::string& path) {
    pb::IndexNode node;
    node.set_path(path);
    node.set_mode(st.st_mode);
    node.set_uid(st.st_uid);
    node.set_gid(st.st_gid);
    node.set_mtime_s(st.st_mtim.tv_sec);
    node.set_mtime_ns(static_cast<uint32_t>(st.st_mtim.tv_nsec));
    if (S_ISREG(st.st_mode)) node.set_size(static_cast<uint64_t>(st.st_size));
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) node.set_device(st.st_rdev);
    return node;
  }

  const bool xattrs_;
  const std::function<absl::Status(const pb::IndexNode&)>& take_;
  std::vector<Level> levels_;
  std::map<ino_t, std::string> inodes_;  // of files with several names: the first one
};

}  // namespace

absl::Status WalkLayer(int root, bool xattrs, const std::function<absl::Status(const pb::IndexNode&)>& take) {
  return Walk(xattrs, take).Run(root);
}

bool WalksBefore(const std::string& a, const std::string& b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto rank = [](char c) { return c == '/' ? 0 : static_cast<int>(static_cast<unsigned char>(c)); };
    return rank(x) < rank(y);
  });
}

}  // namespace wherry::image
