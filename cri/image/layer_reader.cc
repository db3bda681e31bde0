// libarchive reads the tar: it knows the dialects (ustar, pax, GNU long names, three kinds of sparse file, SCHILY and LIBARCHIVE
// xattrs) and is fuzzed by others. Only its tar reader is linked in use here, no filter and no other format.
//
// Two things to know about it. Names: it converts pax names from UTF-8 to the locale, and in a UTF-8 locale normalises them to
// NFC on the way, so that "e + accent" and "é" become one file. In the C locale the conversion fails and it falls back on the
// bytes of the archive, which is what Linux wants; the failure is told as a warning with EILSEQ. So no program
// that links this calls setlocale(3), and only that warning is let pass: every other one (an attribute that it could not parse, a
// sparse map that it does not know) would mean that we write something else than the author packed. Sparse maps cost memory for
// each hole: wherry-pull's RLIMIT_AS bounds them.
#include "cri/image/layer_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "cri/image/tar_recorder.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr uint64_t kEntryBytes = 128;

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

absl::Status BadEntry(absl::string_view name, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("entry \"", absl::CHexEscape(name.substr(0, 200)), "\" ", why));
}

absl::Status CheckName(absl::string_view name, size_t max) {
  if (name.empty()) return BadEntry(name, "has no name");
  if (name.size() > max) return BadEntry(name, absl::StrCat("has a name of more than ", max, " bytes"));
  if (name.front() == '/') return BadEntry(name, "has an absolute path");
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (part == "..") return BadEntry(name, "has a \"..\" in its path");
    if (part.size() > 255) return BadEntry(name, "has a path component of more than 255 bytes");
  }
  return absl::OkStatus();
}

absl::StatusOr<EntryType> TypeOf(archive_entry* e, absl::string_view name) {
  if (archive_entry_hardlink(e) != nullptr) return EntryType::kHardLink;
  switch (archive_entry_filetype(e)) {
    case AE_IFREG:
      return EntryType::kFile;
    case AE_IFDIR:
      return EntryType::kDirectory;
    case AE_IFLNK:
      return EntryType::kSymlink;
    case AE_IFCHR:
      return EntryType::kCharDevice;
    case AE_IFBLK:
      return EntryType::kBlockDevice;
    case AE_IFIFO:
      return EntryType::kFifo;
    default:
      return BadEntry(name, "is of a type that no file system has");
  }
}

// libarchive gives a time before 1970 by its digits, "-1.25" as -1 and a quarter; Linux counts the fraction forwards.
timespec TimeOf(archive_entry* e) {
  constexpr long kSecond = 1'000'000'000;
  timespec time = {archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
  if (time.tv_nsec < 0 || time.tv_nsec >= kSecond) time.tv_nsec = 0;
  if (time.tv_sec < 0 && time.tv_nsec > 0) time = {time.tv_sec - 1, kSecond - time.tv_nsec};
  return time;
}

class Reader final : public LayerReader {
 public:
  Reader(ByteSource& from, const LayerLimits& limits, TarRecorder* recorder)
      : from_(from), recorder_(recorder), limits_(limits), archive_(archive_read_new()) {}

  absl::Status Open() {
    if (archive_ == nullptr) return absl::ResourceExhaustedError("no memory for a tar reader");
    archive_read_support_format_tar(archive_.get());
    archive_read_support_format_empty(archive_.get());
    if (archive_read_open2(archive_.get(), this, nullptr, &Reader::Feed, nullptr, nullptr) != ARCHIVE_OK)
      return Failed();
    return absl::OkStatus();
  }

  absl::StatusOr<const LayerEntry*> Next() override {
    archive_entry* e = nullptr;
    const int rc = archive_read_next_header(archive_.get(), &e);
    if (rc == ARCHIVE_EOF) {
      // libarchive takes a source that fails for one that ends.
      if (!source_status_.ok()) return source_status_;
      return nullptr;
    }
    if (rc != ARCHIVE_OK && !(rc == ARCHIVE_WARN && archive_errno(archive_.get()) == EILSEQ)) return Failed();
    if (++entries_ > limits_.max_entries)
      return absl::ResourceExhaustedError(absl::StrCat("more than ", limits_.max_entries, " entries"));
    RETURN_IF_ERROR(Convert(e));
    names_ += entry_.name.size() + entry_.target.size() + kEntryBytes;
    if (names_ > limits_.max_names) return absl::ResourceExhaustedError("its entries' names need too much memory");
    return &entry_;
  }

  absl::StatusOr<DataRun> Read() override {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    while (true) {
      const int rc = archive_read_data_block(archive_.get(), &data, &size, &offset);
      if (rc == ARCHIVE_EOF) return DataRun{};
      if (rc != ARCHIVE_OK) return Failed();
      if (size > 0) break;
    }
    if (offset < 0 || static_cast<uint64_t>(offset) > entry_.size || size > entry_.size - static_cast<uint64_t>(offset))
      return BadEntry(entry_.name, "has data beyond its size");
    const DataRun run{static_cast<uint64_t>(offset), absl::string_view(static_cast<const char*>(data), size)};
    // What libarchive gives out it only counts as consumed when it is asked for more.
    if (recorder_ != nullptr) RETURN_IF_ERROR(recorder_->Payload(Position(), run, entries_, entry_.name));
    return run;
  }

 private:
  static la_ssize_t Feed(archive* a, void* self, const void** buffer) {
    auto* reader = static_cast<Reader*>(self);
    if (reader->recorder_ != nullptr) reader->recorder_->Consumed(reader->Position());
    absl::StatusOr<absl::string_view> chunk = reader->from_.Next();
    if (!chunk.ok()) {
      reader->source_status_ = chunk.status();
      archive_set_error(a, EIO, "source failed");
      return ARCHIVE_FATAL;
    }
    *buffer = chunk->data();
    return static_cast<la_ssize_t>(chunk->size());
  }

  uint64_t Position() const { return static_cast<uint64_t>(archive_filter_bytes(archive_.get(), 0)); }

  absl::Status Failed() {
    if (!source_status_.ok()) return source_status_;
    const char* text = archive_error_string(archive_.get());
    return absl::DataLossError(
        absl::StrCat("not a valid tar stream after entry ", entries_,
                     entry_.name.empty() ? "" : absl::StrCat(" (\"", absl::CHexEscape(entry_.name), "\")"), ": ",
                     text == nullptr ? "unknown error" : text));
  }

  absl::Status Convert(archive_entry* e) {
    const char* name = archive_entry_pathname(e);
    entry_.name = name == nullptr ? "" : name;
    RETURN_IF_ERROR(CheckName(entry_.name, limits_.max_path));
    ASSIGN_OR_RETURN(entry_.type, TypeOf(e, entry_.name));
    RETURN_IF_ERROR(ConvertTarget(e));
    const int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e), size = archive_entry_size(e);
    // (uid_t)-1 means "leave" to chown(2); nobody may own a file under it.
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
      return BadEntry(entry_.name, "has an owner out of range");
    if (size < 0 || static_cast<uint64_t>(size) > limits_.max_file_bytes)
      return BadEntry(entry_.name, "has an absurd size");
    entry_.uid = static_cast<uid_t>(uid);
    entry_.gid = static_cast<gid_t>(gid);
    entry_.size = entry_.type == EntryType::kFile ? static_cast<uint64_t>(size) : 0;
    entry_.mode = archive_entry_mode(e) & 07777;
    entry_.mtime = TimeOf(e);
    entry_.device =
        ::makedev(static_cast<unsigned>(archive_entry_rdevmajor(e)), static_cast<unsigned>(archive_entry_rdevminor(e)));
    ConvertXattrs(e);
    return absl::OkStatus();
  }

  absl::Status ConvertTarget(archive_entry* e) {
    entry_.target.clear();
    if (entry_.type != EntryType::kSymlink && entry_.type != EntryType::kHardLink) return absl::OkStatus();
    const bool hard = entry_.type == EntryType::kHardLink;
    const char* target = hard ? archive_entry_hardlink(e) : archive_entry_symlink(e);
    entry_.target = target == nullptr ? "" : target;
    if (hard)
      return sys::Annotate(CheckName(entry_.target, limits_.max_path), absl::StrCat("target of \"", entry_.name, "\""));
    if (entry_.target.empty()) return BadEntry(entry_.name, "is a symbolic link to nothing");
    if (entry_.target.size() > limits_.max_path) return BadEntry(entry_.name, "has a link target that is too long");
    return absl::OkStatus();
  }

  void ConvertXattrs(archive_entry* e) {
    entry_.xattrs.clear();
    archive_entry_xattr_reset(e);
    const char* key = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(e, &key, &value, &size) == ARCHIVE_OK)
      if (key != nullptr) entry_.xattrs.emplace_back(key, std::string(static_cast<const char*>(value), size));
  }

  ByteSource& from_;
  TarRecorder* const recorder_;
  const LayerLimits limits_;
  std::unique_ptr<archive, FreeArchive> archive_;
  absl::Status source_status_;
  LayerEntry entry_;
  uint64_t entries_ = 0, names_ = 0;
};

}  // namespace

namespace {
absl::StatusOr<std::unique_ptr<LayerReader>> Make(ByteSource& from, const LayerLimits& limits, TarRecorder* recorder) {
  auto reader = std::make_unique<Reader>(from, limits, recorder);
  RETURN_IF_ERROR(reader->Open());
  return std::unique_ptr<LayerReader>(std::move(reader));
}
}  // namespace

absl::StatusOr<std::unique_ptr<LayerReader>> ReadLayer(ByteSource& from, const LayerLimits& limits) {
  return Make(from, limits, nullptr);
}

absl::StatusOr<std::unique_ptr<LayerReader>> ReadLayer(TarRecorder& from, const LayerLimits& limits) {
  return Make(from, limits, &from);
}

}  // namespace wherry::image
