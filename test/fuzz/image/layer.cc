// A layer blob: decompressed, recorded, read as tar and, when run as root, written to a directory in /dev/shm. Nothing may come to be
// beside that directory, nothing may be left open or hanging, and when the layer is said to be one that can be rebuilt, index and tree
// give its very stream.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "cri/image/decompress.h"
#include "cri/image/layer_index.h"
#include "cri/image/remove_tree.h"
#include "cri/image/sha256.h"
#include "cri/image/tar_rebuild.h"
#include "cri/image/tar_recorder.h"
#include "cri/image/unpack.h"
#include "runtime/sys/file.h"
#include "test/fuzz/target.h"
#include "test/unit/image/tar_writer.h"

namespace {

using namespace wherry;
using namespace wherry::image;

void Demand(bool ok) {
  if (!ok) __builtin_trap();
}

class Memory final : public ByteSource {
 public:
  explicit Memory(absl::string_view data) : data_(data) {}
  absl::StatusOr<absl::string_view> Next() override { return std::exchange(data_, {}); }

 private:
  absl::string_view data_;
};

// A directory that is removed with all below it.
class Scratch {
 public:
  Scratch() {
    std::string name = "/dev/shm/wherry-fuzz-XXXXXX";
    Demand(::mkdtemp(name.data()) != nullptr);
    name_ = name;
    Demand(::mkdir((name_ + "/layer").c_str(), 0755) == 0);
  }
  ~Scratch() { Demand(RemoveTree(AT_FDCWD, name_).ok()); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  sys::UniqueFd OpenLayer() const {
    return sys::UniqueFd(::open((name_ + "/layer").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  // "layer" is alone in it: two links of its own and one of the layer's "..".
  bool Untouched() const {
    struct stat st {};
    return ::stat(name_.c_str(), &st) == 0 && st.st_nlink == 3;
  }

 private:
  std::string name_;
};

class Origin final : public BlobOrigin {
 public:
  explicit Origin(absl::string_view blob) : blob_(blob) {}
  absl::StatusOr<std::string> Read(Document, const oci::Descriptor&, size_t) const override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<ArchiveFile::Extent> Locate(const oci::Descriptor&) const override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::unique_ptr<ByteSource>> Open(const PlannedLayer&) const override {
    return std::unique_ptr<ByteSource>(std::make_unique<Memory>(blob_));
  }

 private:
  const absl::string_view blob_;
};

// Of as much as can be decompressed.
std::string DiffIdOf(absl::string_view blob, uint64_t max) {
  Memory memory(blob);
  absl::StatusOr<std::unique_ptr<ByteSource>> plain = Decompress(memory, max);
  if (!plain.ok()) return "";
  Sha256 hash;
  while (true) {
    absl::StatusOr<absl::string_view> chunk = (*plain)->Next();
    if (!chunk.ok() || chunk->empty()) return hash.Digest();
    hash.Update(*chunk);
  }
}

// The entries alone.
void ReadOnly(absl::string_view blob, const LayerLimits& limits) {
  Memory memory(blob);
  absl::StatusOr<std::unique_ptr<ByteSource>> source = Decompress(memory, limits.max_bytes);
  if (!source.ok()) return;
  absl::StatusOr<std::unique_ptr<IndexWriter>> index =
      IndexWriter::Open(sys::UniqueFd(::memfd_create("index", MFD_CLOEXEC)));
  Demand(index.ok());
  TarRecorder recorder(**source, **index);
  absl::StatusOr<std::unique_ptr<LayerReader>> reader = ReadLayer(recorder, limits);
  if (!reader.ok()) return;
  while (true) {
    absl::StatusOr<const LayerEntry*> entry = (*reader)->Next();
    if (!entry.ok() || *entry == nullptr) return;
    Demand(!(*entry)->name.empty() && (*entry)->name.front() != '/');
    Demand((*entry)->name != ".." && !absl::StartsWith((*entry)->name, "../") &&
           !absl::StrContains((*entry)->name, "/../"));
    for (absl::StatusOr<DataRun> run = (*reader)->Read(); !run.ok() || !run->bytes.empty(); run = (*reader)->Read())
      if (!run.ok()) return;
  }
}

void CheckIndex(sys::UniqueFd file, const UnpackedLayer& unpacked, const std::string& diff_id, int tree) {
  absl::StatusOr<std::unique_ptr<IndexReader>> index = IndexReader::Open(std::move(file), unpacked.index_digest);
  Demand(index.ok());
  Sha256 hash;
  uint64_t size = 0;
  bool whole = true;
  Rebuild to;
  to.bytes = [&](absl::string_view bytes) {
    hash.Update(bytes);
    size += bytes.size();
    return absl::OkStatus();
  };
  to.broken = [&](const std::string&, const absl::Status&) {
    whole = false;
    return absl::OkStatus();
  };
  Demand(RebuildTar(tree, **index, to).ok());
  if (unpacked.rebuildable) Demand(whole && size == unpacked.tar_bytes && hash.Digest() == diff_id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool root = ::geteuid() == 0 && (::umask(0), true);
  const absl::string_view blob(reinterpret_cast<const char*>(data), size);
  LayerLimits limits;
  limits.max_entries = 10'000;
  limits.max_bytes = 8 << 20;
  limits.max_file_bytes = 64 << 20;
  limits.max_names = 8 << 20;
  if (!root) {
    ReadOnly(blob, limits);
    return 0;
  }
  Scratch scratch;
  DiskBudget budget(8 << 20);
  const PlannedLayer layer{DiffIdOf(blob, limits.max_bytes), "", {}};
  sys::UniqueFd index(::memfd_create("index", MFD_CLOEXEC)), copy(::dup(index.get()));
  const auto unpacked = UnpackLayer(Origin(blob), layer, {scratch.OpenLayer(), std::move(index)}, limits, budget);
  Demand(scratch.Untouched());
  if (unpacked.ok()) CheckIndex(std::move(copy), *unpacked, layer.diff_id, scratch.OpenLayer().get());
  return 0;
}

std::vector<std::string> wherry::fuzz::Seeds() {
  image::test::TarEntry attributes;
  attributes.name = "attr";
  attributes.pax = {{"SCHILY.xattr.user.a", "b"}, {"mtime", "1.5"}, {"path", "renamed"}};
  image::test::TarEntry sparse;
  sparse.name = "sparse";
  sparse.data = "0123456789";
  sparse.pax = {{"GNU.sparse.major", "0"},
                {"GNU.sparse.minor", "1"},
                {"GNU.sparse.map", "0,5,4096,5"},
                {"GNU.sparse.size", "8192"}};
  const std::string tar = image::test::TarWriter()
                              .Dir("d", 02755)
                              .File("d/f", "data", 04755)
                              .HardLink("h", "d/f")
                              .Symlink("s", "/etc")
                              .File("d/.wh.x", "")
                              .File("d/.wh..wh..opq", "")
                              .File("./deep/er/f", "x")
                              .Dir("s")
                              .Add(attributes)
                              .Add(sparse)
                              .Bytes();
  return {tar, image::test::Gzip(tar), image::test::Zstd(tar),
          image::test::TarWriter().Symlink("s", "/dev/shm").File("s/x", "").Bytes()};
}
