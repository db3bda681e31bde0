#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cri/image/byte_source.h"

// One layer's tar stream as a sequence of checked entries.
namespace wherry::image {

enum class EntryType { kFile, kDirectory, kSymlink, kHardLink, kCharDevice, kBlockDevice, kFifo };

struct LayerEntry {
  std::string name;  // as in the archive, checked: see LayerReader::Next
  EntryType type = EntryType::kFile;
  std::string target;  // of a symlink (verbatim) or a hard link (an entry name)
  mode_t mode = 0;     // permission bits with setuid, setgid and sticky
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t size = 0;  // of a file, holes included
  timespec mtime{};
  dev_t device = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// A run of a file's bytes; what lies between runs is a hole.
struct DataRun {
  uint64_t offset = 0;
  absl::string_view bytes;
};

struct LayerLimits {
  uint64_t max_entries = 4'000'000;
  uint64_t max_bytes = uint64_t{1} << 40;       // of decompressed tar stream
  uint64_t max_file_bytes = uint64_t{1} << 40;  // apparent size of one file
  size_t max_path = 4095;
  // Of names, link targets and 128 bytes for each entry, all together: what an unpacker and a check keep in memory grows with that.
  uint64_t max_names = 512 << 20;
};

class LayerReader {
 public:
  virtual ~LayerReader() = default;
  // The next entry, nullptr at the end. It stays valid until the next call. InvalidArgument names the entry for a name that is
  // empty, too long, absolute or has a ".." component, a type that is no file system object, and a value beyond its bounds;
  // DataLoss for a damaged or truncated stream.
  virtual absl::StatusOr<const LayerEntry*> Next() = 0;
  // The next run of the current file's data; `bytes` is empty at its end.
  virtual absl::StatusOr<DataRun> Read() = 0;
};

// Reads ustar, pax and GNU tar. `from` must outlive the result. The caller drains `from` afterwards: a tar stream's end mark may
// be followed by padding, which belongs to the digest.
absl::StatusOr<std::unique_ptr<LayerReader>> ReadLayer(ByteSource& from, const LayerLimits& limits);

class TarRecorder;
// The same, and tells the recorder, through which the stream comes, what was given out as contents of files.
absl::StatusOr<std::unique_ptr<LayerReader>> ReadLayer(TarRecorder& from, const LayerLimits& limits);

}  // namespace wherry::image
