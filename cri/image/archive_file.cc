#include "cri/image/archive_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cri/image/decompress.h"
#include "cri/image/file_source.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxMembers = 65536;
constexpr size_t kMaxName = 4096;
constexpr int kMaxLinks = 8;

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

// "./a//b/../c" as "a/c"; what leaves the archive's top stays at it. Only used as a key, never given to the kernel.
std::string Normalise(absl::string_view path) {
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      parts.push_back(part);
    else if (!parts.empty())
      parts.pop_back();
  }
  return absl::StrJoin(parts, "/");
}

std::string DirName(const std::string& path) {
  return path.substr(0, path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
}

// libarchive's way to read a file, with seeks over the members' contents.
struct Cursor {
  int fd;
  uint64_t size;
  uint64_t offset = 0;
  std::vector<char> buffer = std::vector<char>(64 << 10);

  static la_ssize_t Read(archive* a, void* self, const void** out) {
    auto* c = static_cast<Cursor*>(self);
    const ssize_t n = ::pread(c->fd, c->buffer.data(), c->buffer.size(), static_cast<off_t>(c->offset));
    if (n < 0) {
      archive_set_error(a, errno, "read");
      return ARCHIVE_FATAL;
    }
    c->offset += static_cast<uint64_t>(n);
    *out = c->buffer.data();
    return n;
  }
  static la_int64_t Skip(archive*, void* self, la_int64_t bytes) {
    auto* c = static_cast<Cursor*>(self);
    if (bytes < 0 || static_cast<uint64_t>(bytes) > c->size - c->offset) return 0;  // then it reads, and finds the end
    c->offset += static_cast<uint64_t>(bytes);
    return bytes;
  }
};

absl::StatusOr<uint64_t> RegularSize(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return sys::Errno("fstat of the archive");
  if (!S_ISREG(st.st_mode)) return absl::InvalidArgumentError("the archive is not a regular file");
  return static_cast<uint64_t>(st.st_size);
}

absl::StatusOr<bool> IsCompressed(int fd) {
  unsigned char head[4] = {};
  if (::pread(fd, head, sizeof(head), 0) < 0) return sys::Errno("read of the archive");
  return (head[0] == 0x1f && head[1] == 0x8b) ||
         (head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd);
}

absl::StatusOr<sys::UniqueFd> Spool(int fd, uint64_t size, int dir, DiskBudget& budget) {
  ASSIGN_OR_RETURN(sys::UniqueFd out, sys::OpenAt(dir, ".", O_TMPFILE | O_RDWR, 0600));
  std::unique_ptr<ByteSource> file = FileRange(fd, 0, size);
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, Decompress(*file, UINT64_MAX));
  while (true) {
    ASSIGN_OR_RETURN(absl::string_view chunk, source->Next());
    if (chunk.empty()) return out;
    if (!budget.Take(chunk.size()))
      return absl::ResourceExhaustedError("the archive needs more space than the disk has free");
    RETURN_IF_ERROR(sys::WriteAll(out.get(), chunk));
  }
}

}  // namespace

absl::StatusOr<ArchiveFile> ArchiveFile::Open(sys::UniqueFd fd, int spool_dir, DiskBudget& budget) {
  ASSIGN_OR_RETURN(const uint64_t size, RegularSize(fd.get()));
  ASSIGN_OR_RETURN(const bool compressed, IsCompressed(fd.get()));
  if (compressed) {
    ASSIGN_OR_RETURN(fd, Spool(fd.get(), size, spool_dir, budget));
  }
  ArchiveFile archive(std::move(fd));
  RETURN_IF_ERROR(archive.Index());
  return archive;
}

absl::Status ArchiveFile::Index() {
  ASSIGN_OR_RETURN(const uint64_t size, RegularSize(fd_.get()));
  Cursor cursor{fd_.get(), size};
  std::unique_ptr<archive, FreeArchive> a(archive_read_new());
  if (a == nullptr) return absl::ResourceExhaustedError("no memory for a tar reader");
  archive_read_support_format_tar(a.get());
  auto failed = [&] {
    const char* text = archive_error_string(a.get());
    return absl::InvalidArgumentError(
        absl::StrCat("not a tar archive, or a damaged one: ", text == nullptr ? "" : text));
  };
  if (archive_read_open2(a.get(), &cursor, nullptr, &Cursor::Read, &Cursor::Skip, nullptr) != ARCHIVE_OK)
    return failed();
  archive_entry* e = nullptr;
  for (size_t count = 0;; ++count) {
    const int rc = archive_read_next_header(a.get(), &e);
    if (rc == ARCHIVE_EOF) return absl::OkStatus();
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) return failed();
    const char* raw = archive_entry_pathname(e);
    const absl::string_view name = raw == nullptr ? "" : raw;
    if (count >= kMaxMembers)
      return absl::InvalidArgumentError(absl::StrCat("the archive has more than ", kMaxMembers, " members"));
    if (name.empty() || name.size() > kMaxName)
      return absl::InvalidArgumentError("the archive has a member without a usable name");
    const std::string key = Normalise(name);
    const la_int64_t bytes = archive_entry_size(e);
    const char* hard = archive_entry_hardlink(e);
    const char* soft = archive_entry_symlink(e);
    if (hard != nullptr) {
      links_[key] = Normalise(hard);
    } else if (archive_entry_filetype(e) == AE_IFLNK && soft != nullptr) {
      links_[key] = Normalise(soft[0] == '/' ? std::string(soft) : absl::StrCat(DirName(key), "/", soft));
    } else if (archive_entry_filetype(e) == AE_IFREG && bytes >= 0) {
      const auto offset = static_cast<uint64_t>(archive_filter_bytes(a.get(), 0));
      if (offset > size || static_cast<uint64_t>(bytes) > size - offset)
        return absl::DataLossError(absl::StrCat("the archive ends inside of \"", absl::CHexEscape(key), "\""));
      // The first of a name wins for good: two readers must not see two files.
      files_.emplace(key, Extent{offset, static_cast<uint64_t>(bytes)});
    }
  }
}

absl::StatusOr<ArchiveFile::Extent> ArchiveFile::Find(const std::string& name) const {
  std::string key = Normalise(name);
  for (int i = 0; i <= kMaxLinks; ++i) {
    if (auto it = files_.find(key); it != files_.end()) return it->second;
    auto link = links_.find(key);
    if (link == links_.end()) break;
    key = link->second;
  }
  return absl::NotFoundError(absl::StrCat("the archive has no file \"", absl::CHexEscape(name.substr(0, 200)), "\""));
}

absl::StatusOr<std::string> ArchiveFile::Read(const std::string& name, size_t max) const {
  ASSIGN_OR_RETURN(const Extent extent, Find(name));
  if (extent.size > max)
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(name), "\" has ", extent.size, " bytes; at most ", max, " are read"));
  std::unique_ptr<ByteSource> source = FileRange(fd(), extent.offset, extent.size);
  std::string out;
  while (true) {
    ASSIGN_OR_RETURN(absl::string_view chunk, source->Next());
    if (chunk.empty()) return out;
    out.append(chunk.data(), chunk.size());
  }
}

}  // namespace wherry::image
