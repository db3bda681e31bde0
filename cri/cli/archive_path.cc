#include "cri/cli/archive_path.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cli {
namespace {

namespace fs = std::filesystem;

struct FreeArchive {
  void operator()(archive* a) const { archive_write_free(a); }
};

// Archives are large: not in /tmp, which is often memory.
absl::StatusOr<sys::UniqueFd> Unnamed() {
  const char* dir = std::getenv("TMPDIR");
  return sys::OpenAt(AT_FDCWD, dir == nullptr || *dir == '\0' ? "/var/tmp" : dir, O_TMPFILE | O_RDWR, 0600);
}

absl::Status Copy(int from, const std::function<absl::Status(absl::string_view)>& to) {
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::Errno("read");
    if (n == 0) return absl::OkStatus();
    RETURN_IF_ERROR(to(absl::string_view(buffer.data(), static_cast<size_t>(n))));
  }
}

absl::StatusOr<sys::UniqueFd> FromStdin() {
  ASSIGN_OR_RETURN(sys::UniqueFd file, Unnamed());
  RETURN_IF_ERROR_CTX(Copy(STDIN_FILENO, [&](absl::string_view data) { return sys::WriteAll(file.get(), data); }),
                      "standard input");
  return file;
}

absl::Status AddFile(archive* to, const fs::path& path, const std::string& name) {
  ASSIGN_OR_RETURN(sys::UniqueFd from, sys::OpenAt(AT_FDCWD, path.string(), O_RDONLY));
  struct stat st {};
  if (::fstat(from.get(), &st) != 0 || !S_ISREG(st.st_mode)) return absl::InvalidArgumentError("is no regular file");
  std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_size(entry.get(), st.st_size);
  const auto failed = [&] { return absl::UnavailableError(archive_error_string(to)); };
  if (archive_write_header(to, entry.get()) != ARCHIVE_OK) return failed();
  return Copy(from.get(), [&](absl::string_view data) {
    return archive_write_data(to, data.data(), data.size()) < 0 ? failed() : absl::OkStatus();
  });
}

// The files that make up an image layout (image-spec, image-layout.md), docker save's manifest.json too if there is one.
absl::StatusOr<std::vector<std::string>> LayoutFiles(const fs::path& dir) {
  std::vector<std::string> names;
  for (const char* name : {"oci-layout", "index.json", "manifest.json"})
    if (fs::exists(dir / name)) names.emplace_back(name);
  if (names.empty())
    return absl::InvalidArgumentError("is no OCI image layout: it has no oci-layout and no index.json");
  std::error_code error;
  for (fs::recursive_directory_iterator at(dir / "blobs", error), end; !error && at != end; at.increment(error))
    if (!at->is_directory(error)) names.push_back(at->path().lexically_relative(dir));
  if (error) return absl::InvalidArgumentError(absl::StrCat("blobs: ", error.message()));
  return names;
}

absl::StatusOr<sys::UniqueFd> FromDirectory(const fs::path& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, LayoutFiles(dir));
  ASSIGN_OR_RETURN(sys::UniqueFd file, Unnamed());
  std::unique_ptr<archive, FreeArchive> to(archive_write_new());
  if (to == nullptr || archive_write_set_format_pax_restricted(to.get()) != ARCHIVE_OK ||
      archive_write_open_fd(to.get(), file.get()) != ARCHIVE_OK)
    return absl::ResourceExhaustedError("no memory for a tar writer");
  for (const std::string& name : names) RETURN_IF_ERROR_CTX(AddFile(to.get(), dir / name, name), name);
  if (archive_write_close(to.get()) != ARCHIVE_OK) return absl::UnavailableError(archive_error_string(to.get()));
  return file;
}

}  // namespace

ArchivePath::ArchivePath(sys::UniqueFd file)
    : file_(std::move(file)), path_(absl::StrCat("/proc/", ::getpid(), "/fd/", file_.get())) {}

absl::StatusOr<ArchivePath> ArchivePath::Make(const std::string& file) {
  std::error_code error;
  if (file == "-") {
    ASSIGN_OR_RETURN(sys::UniqueFd copy, FromStdin());
    return ArchivePath(std::move(copy));
  }
  if (fs::is_directory(file, error)) {
    ASSIGN_OR_RETURN_CTX(sys::UniqueFd copy, FromDirectory(file), file);
    return ArchivePath(std::move(copy));
  }
  if (!fs::exists(file, error)) return absl::NotFoundError(absl::StrCat(file, ": no such file"));
  return ArchivePath(fs::absolute(file, error).string());
}

}  // namespace wherry::cli
