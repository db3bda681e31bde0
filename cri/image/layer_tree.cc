#include "cri/image/layer_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "cri/image/path_walk.h"
#include "cri/image/remove_tree.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr absl::string_view kWhiteout = ".wh.";
constexpr absl::string_view kAufsMeta = ".wh..wh.";
constexpr absl::string_view kOpaque = ".wh..wh..opq";
constexpr char kOpaqueXattr[] = "trusted.overlay.opaque";
constexpr mode_t kSpecialBits = S_ISUID | S_ISGID | S_ISVTX;
constexpr uint64_t kBlock = 4096;

using Parts = std::vector<absl::string_view>;

uint64_t Blocks(uint64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

// What a directory gets at the end: its time would change with each entry made in it, and a setgid bit would hand the directory's
// group to them.
struct Late {
  timespec mtime{};
  mode_t mode = 0;
  bool set_mode = false;
};

// Labels and signatures belong to the host's policy, not to an image; overlayfs's own attributes would steer the mount.
enum class XattrRule { kSet, kSkip, kRefuse };
XattrRule RuleFor(absl::string_view key) {
  if (absl::StartsWith(key, "trusted.overlay.") || absl::StartsWith(key, "user.overlay.")) return XattrRule::kRefuse;
  if (key == "security.capability" || absl::StartsWith(key, "user.")) return XattrRule::kSet;
  return XattrRule::kSkip;
}

class Tree final : public LayerTree {
 public:
  Tree(sys::UniqueFd root, DiskBudget& budget) : walk_(std::move(root)), budget_(budget) {}

  absl::Status Add(const LayerEntry& entry, LayerReader& reader) override {
    return sys::Annotate(
        AddEntry(entry, reader),
        absl::StrCat("entry \"", absl::CHexEscape(absl::string_view(entry.name).substr(0, 200)), "\""));
  }

  absl::StatusOr<LayerUsage> Finish() override {
    // Children before their parents does not matter: none of this changes a parent's time.
    for (const auto& [path, late] : late_) {
      absl::StatusOr<int> dir = walk_.Find(SplitPath(path));
      if (!dir.ok()) continue;  // replaced by something else meanwhile
      if (late.set_mode && ::fchmod(*dir, late.mode) != 0) return sys::Errno(absl::StrCat("chmod \"", path, "\""));
      const timespec times[2] = {{0, UTIME_OMIT}, late.mtime};
      if (::futimens(*dir, times) != 0) return sys::Errno(absl::StrCat("utimens \"", path, "\""));
    }
    return usage_;
  }

 private:
  absl::Status AddEntry(const LayerEntry& entry, LayerReader& reader) {
    Parts parts = SplitPath(entry.name);
    if (parts.empty()) {
      if (entry.type != EntryType::kDirectory) return absl::InvalidArgumentError("is the root, but no directory");
      return SetDirectory(walk_.root(), parts, entry);
    }
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      if (absl::StartsWith(parts[i], kAufsMeta)) return absl::OkStatus();
      if (absl::StartsWith(parts[i], kWhiteout)) return absl::InvalidArgumentError("lies inside of a whiteout");
    }
    const std::string base(parts.back());
    parts.pop_back();
    int created = 0;
    ASSIGN_OR_RETURN(const int dir, walk_.Enter(parts, created));
    RETURN_IF_ERROR(CountNew(static_cast<uint64_t>(created), static_cast<uint64_t>(created) * kBlock));
    if (base == kOpaque) return SetOpaque(dir);
    if (absl::StartsWith(base, kAufsMeta)) return absl::OkStatus();
    if (absl::StartsWith(base, kWhiteout)) return MakeWhiteout(dir, base.substr(kWhiteout.size()));
    return Make({dir, base, parts}, entry, reader);
  }

  // Where an entry goes: the open parent directory and the name in it.
  struct Place {
    int dir;
    const std::string& base;
    const Parts& parents;
    const char* name() const { return base.c_str(); }
    Parts path() const {
      Parts all = parents;
      all.emplace_back(base);
      return all;
    }
  };

  absl::Status Make(const Place& at, const LayerEntry& entry, LayerReader& reader) {
    switch (entry.type) {
      case EntryType::kDirectory:
        return MakeDirectory(at, entry);
      case EntryType::kFile:
        return MakeFile(at, entry, reader);
      case EntryType::kHardLink:
        return MakeHardLink(at, entry);
      case EntryType::kSymlink:
        return MakeNode(at, entry, [&] { return ::symlinkat(entry.target.c_str(), at.dir, at.name()); });
      case EntryType::kCharDevice:
        return MakeNode(at, entry, [&] { return ::mknodat(at.dir, at.name(), S_IFCHR | entry.mode, entry.device); });
      case EntryType::kBlockDevice:
        return MakeNode(at, entry, [&] { return ::mknodat(at.dir, at.name(), S_IFBLK | entry.mode, entry.device); });
      case EntryType::kFifo:
        return MakeNode(at, entry, [&] { return ::mknodat(at.dir, at.name(), S_IFIFO | entry.mode, 0); });
    }
    return absl::InternalError("unknown entry type");
  }

  absl::Status CountNew(uint64_t inodes, uint64_t bytes) {
    usage_.inodes += inodes;
    usage_.bytes += bytes;
    if (!budget_.Take(bytes)) return absl::ResourceExhaustedError("the image needs more space than the disk has free");
    return absl::OkStatus();
  }

  // Calls `make`, and once more after removing what has the name already.
  template <typename F>
  absl::StatusOr<int> MakeReplacing(const Place& at, absl::string_view call, F make) {
    int rc = make();
    if (rc < 0 && errno == EEXIST) {
      walk_.Forget(at.path());
      RETURN_IF_ERROR(RemoveTree(at.dir, at.base));
      rc = make();
    }
    if (rc < 0) return sys::Errno(absl::StrCat(call, " \"", at.base, "\""));
    return rc;
  }

  absl::Status MakeFile(const Place& at, const LayerEntry& entry, LayerReader& reader) {
    ASSIGN_OR_RETURN(int raw, MakeReplacing(at, "create", [&] {
                       return ::openat(at.dir, at.name(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                       entry.mode & 0777);
                     }));
    const sys::UniqueFd file(raw);
    RETURN_IF_ERROR(WriteData(file.get(), entry, reader));
    // In this order: chown(2) clears setuid bits and file capabilities.
    if ((entry.uid != 0 || entry.gid != 0) && ::fchown(file.get(), entry.uid, entry.gid) != 0)
      return sys::Errno("fchown");
    if ((entry.mode & kSpecialBits) != 0 && ::fchmod(file.get(), entry.mode) != 0) return sys::Errno("fchmod");
    RETURN_IF_ERROR(SetXattrs(file.get(), entry));
    const timespec times[2] = {{0, UTIME_OMIT}, entry.mtime};
    if (::futimens(file.get(), times) != 0) return sys::Errno("futimens");
    return absl::OkStatus();
  }

  absl::Status WriteData(int file, const LayerEntry& entry, LayerReader& reader) {
    uint64_t end = 0, written = 0;
    while (end < entry.size) {
      ASSIGN_OR_RETURN(DataRun run, reader.Read());
      if (run.bytes.empty()) break;
      end = run.offset + run.bytes.size();
      written += run.bytes.size();
      if (!budget_.Take(run.bytes.size()))
        return absl::ResourceExhaustedError("the image needs more space than the disk has free");
      RETURN_IF_ERROR(WriteAt(file, run));
    }
    if (end < entry.size && ::ftruncate(file, static_cast<off_t>(entry.size)) != 0) return sys::Errno("ftruncate");
    usage_.bytes += Blocks(written);
    return CountNew(1, 0);
  }

  static absl::Status WriteAt(int file, DataRun run) {
    while (!run.bytes.empty()) {
      const ssize_t n = ::pwrite(file, run.bytes.data(), run.bytes.size(), static_cast<off_t>(run.offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return sys::Errno("write");
      run.bytes.remove_prefix(static_cast<size_t>(n));
      run.offset += static_cast<uint64_t>(n);
    }
    return absl::OkStatus();
  }

  absl::Status MakeDirectory(const Place& at, const LayerEntry& entry) {
    bool opaque = false;
    if (::mkdirat(at.dir, at.name(), entry.mode & 0777) == 0) {
      RETURN_IF_ERROR(CountNew(1, kBlock));
    } else {
      if (errno != EEXIST) return sys::Errno(absl::StrCat("mkdir \"", at.base, "\""));
      struct stat st {};
      if (::fstatat(at.dir, at.name(), &st, AT_SYMLINK_NOFOLLOW) != 0) return sys::Errno("fstatat");
      if (!S_ISDIR(st.st_mode)) {
        opaque = S_ISCHR(st.st_mode) && st.st_rdev == 0;  // deleted below and made anew in the same layer
        if (::unlinkat(at.dir, at.name(), 0) != 0) return sys::Errno(absl::StrCat("unlink \"", at.base, "\""));
        if (::mkdirat(at.dir, at.name(), entry.mode & 0777) != 0)
          return sys::Errno(absl::StrCat("mkdir \"", at.base, "\""));
        RETURN_IF_ERROR(CountNew(1, kBlock));
      }
    }
    const Parts path = at.path();
    ASSIGN_OR_RETURN(const int dir, walk_.Find(path));
    if (opaque) RETURN_IF_ERROR(SetOpaque(dir));
    return SetDirectory(dir, path, entry);
  }

  absl::Status SetDirectory(int dir, const Parts& path, const LayerEntry& entry) {
    if (::fchown(dir, entry.uid, entry.gid) != 0) return sys::Errno("fchown");
    if (::fchmod(dir, entry.mode & ~static_cast<mode_t>(S_ISGID)) != 0) return sys::Errno("fchmod");
    RETURN_IF_ERROR(SetXattrs(dir, entry));
    late_[absl::StrJoin(path, "/")] = Late{entry.mtime, entry.mode, (entry.mode & S_ISGID) != 0};
    return absl::OkStatus();
  }

  // Symbolic links, devices, FIFOs: no descriptor of theirs is opened.
  template <typename F>
  absl::Status MakeNode(const Place& at, const LayerEntry& entry, F make) {
    RETURN_IF_ERROR(MakeReplacing(at, "create", make).status());
    RETURN_IF_ERROR(CountNew(1, 0));
    if ((entry.uid != 0 || entry.gid != 0) &&
        ::fchownat(at.dir, at.name(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return sys::Errno("fchownat");
    // What was just made under this name in a private directory is no symbolic link here, so that chmod cannot follow one.
    if (entry.type != EntryType::kSymlink && (entry.mode & kSpecialBits) != 0 &&
        ::fchmodat(at.dir, at.name(), entry.mode, 0) != 0)
      return sys::Errno("fchmodat");
    const timespec times[2] = {{0, UTIME_OMIT}, entry.mtime};
    if (::utimensat(at.dir, at.name(), times, AT_SYMLINK_NOFOLLOW) != 0) return sys::Errno("utimensat");
    return absl::OkStatus();
  }

  absl::Status MakeHardLink(const Place& at, const LayerEntry& entry) {
    Parts target = SplitPath(entry.target);
    if (target == at.path()) return absl::OkStatus();
    if (target.empty()) return absl::InvalidArgumentError("is a hard link to the root");
    const std::string target_base(target.back());
    target.pop_back();
    sys::UniqueFd other;
    int target_dir = at.dir;
    if (target != at.parents) {
      ASSIGN_OR_RETURN(other, OpenTarget(target, entry.target));
      target_dir = other.get();
    }
    absl::StatusOr<int> made =
        MakeReplacing(at, "link", [&] { return ::linkat(target_dir, target_base.c_str(), at.dir, at.name(), 0); });
    if (made.ok()) return absl::OkStatus();
    if (sys::IsErrno(made.status(), ENOENT)) return NoTarget(entry.target);
    if (sys::IsErrno(made.status(), EPERM))
      return absl::InvalidArgumentError(absl::StrCat("is a hard link to \"", entry.target, "\", which is a directory"));
    return made.status();
  }

  static absl::Status NoTarget(absl::string_view target) {
    return absl::InvalidArgumentError(
        absl::StrCat("is a hard link to \"", absl::CHexEscape(target), "\", which is not in this layer"));
  }

  // A walk of its own, from the root: the entry's own parent must stay open meanwhile.
  absl::StatusOr<sys::UniqueFd> OpenTarget(const Parts& parts, absl::string_view target) {
    ASSIGN_OR_RETURN(sys::UniqueFd root, sys::OpenAt(walk_.root(), ".", O_RDONLY | O_DIRECTORY));
    PathWalk walk(std::move(root));
    absl::StatusOr<int> dir = walk.Find(parts);
    if (sys::IsErrno(dir.status(), ENOENT)) return NoTarget(target);
    if (!dir.ok()) return sys::Annotate(dir.status(), absl::StrCat("hard link to \"", absl::CHexEscape(target), "\""));
    return sys::OpenAt(*dir, ".", O_RDONLY | O_DIRECTORY);
  }

  absl::Status SetOpaque(int dir) {
    usage_.xattrs = true;
    if (::fsetxattr(dir, kOpaqueXattr, "y", 1, 0) != 0) return sys::Errno(absl::StrCat("setxattr ", kOpaqueXattr));
    return absl::OkStatus();
  }

  // A whiteout speaks of the layers below. Where this layer has something of that name itself, that hides what is below,
  // except for a directory, which overlayfs would merge.
  absl::Status MakeWhiteout(int dir, const std::string& name) {
    if (name.empty() || name == "." || name == "..") return absl::InvalidArgumentError("is a whiteout of nothing");
    if (::mknodat(dir, name.c_str(), S_IFCHR, ::makedev(0, 0)) == 0) return CountNew(1, 0);
    if (errno != EEXIST) return sys::Errno(absl::StrCat("mknod \"", name, "\""));
    absl::StatusOr<sys::UniqueFd> existing = sys::OpenAt(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return existing.ok() ? SetOpaque(existing->get()) : absl::OkStatus();
  }

  absl::Status SetXattrs(int fd, const LayerEntry& entry) {
    for (const auto& [key, value] : entry.xattrs) {
      const XattrRule rule = RuleFor(key);
      usage_.xattrs = usage_.xattrs || rule == XattrRule::kSet;
      if (rule == XattrRule::kRefuse)
        return absl::InvalidArgumentError(
            absl::StrCat("has the attribute \"", absl::CHexEscape(key), "\", which would steer overlayfs"));
      if (rule == XattrRule::kSet && ::fsetxattr(fd, key.c_str(), value.data(), value.size(), 0) != 0)
        return sys::Errno(absl::StrCat("setxattr \"", absl::CHexEscape(key), "\""));
    }
    return absl::OkStatus();
  }

  PathWalk walk_;
  DiskBudget& budget_;
  LayerUsage usage_;
  std::map<std::string, Late> late_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LayerTree>> LayerTree::Open(sys::UniqueFd root, DiskBudget& budget) {
  if (::fchmod(root.get(), 0755) != 0) return sys::Errno("fchmod of the layer's root");
  auto tree = std::make_unique<Tree>(std::move(root), budget);
  return std::unique_ptr<LayerTree>(std::move(tree));
}

}  // namespace wherry::image
