// A layer blob: decompressed, read as tar and, when run as root, written to a directory in /dev/shm. Nothing may come to be
// beside that directory, and nothing may be left open or hanging.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "cri/image/decompress.h"
#include "cri/image/layer_tree.h"
#include "cri/image/remove_tree.h"
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

absl::Status Consume(LayerReader& reader, LayerTree* tree) {
  while (true) {
    absl::StatusOr<const LayerEntry*> entry = reader.Next();
    if (!entry.ok()) return entry.status();
    if (*entry == nullptr) return absl::OkStatus();
    Demand(!(*entry)->name.empty() && (*entry)->name.front() != '/');
    Demand((*entry)->name != ".." && !absl::StartsWith((*entry)->name, "../") &&
           !absl::StrContains((*entry)->name, "/../"));
    if (tree != nullptr) {
      if (absl::Status st = tree->Add(**entry, reader); !st.ok()) return st;
      continue;
    }
    while (true) {
      absl::StatusOr<DataRun> run = reader.Read();
      if (!run.ok()) return run.status();
      if (run->bytes.empty()) break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool root = ::geteuid() == 0 && (::umask(0), true);
  Memory memory(absl::string_view(reinterpret_cast<const char*>(data), size));
  absl::StatusOr<std::unique_ptr<ByteSource>> source = Decompress(memory, 8 << 20);
  if (!source.ok()) return 0;
  LayerLimits limits;
  limits.max_entries = 10'000;
  limits.max_file_bytes = 64 << 20;
  absl::StatusOr<std::unique_ptr<LayerReader>> reader = ReadLayer(**source, limits);
  if (!reader.ok()) return 0;
  if (!root) {
    (void)Consume(**reader, nullptr).ok();
    return 0;
  }
  Scratch scratch;
  DiskBudget budget(8 << 20);
  absl::StatusOr<std::unique_ptr<LayerTree>> tree = LayerTree::Open(scratch.OpenLayer(), budget);
  Demand(tree.ok());
  if (Consume(**reader, tree->get()).ok()) (void)(*tree)->Finish().ok();
  Demand(scratch.Untouched());
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
