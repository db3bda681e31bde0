#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/byte_source.h"
#include "cri/image/records.pb.h"
#include "cri/image/sha256.h"
#include "runtime/sys/unique_fd.h"

// What a layer was when it was unpacked, in one file beside it: the parts of its tar stream that are no file's contents, where the
// contents go between them, and every node of the tree with a checksum of its contents. That serves two ends. Put together with the
// tree it gives the tar stream again, byte for byte, so that an image can be exported with the digests it came with although no blob
// was kept. And compared with the tree it names what was damaged since. (Docker's layer store does the first of these by a file
// "tar-split"; fs-verity and dm-verity would do the second, but for whole file systems, or in file systems that can.)
//
// The file is a zstd stream of IndexRecords, each after four bytes of its length, little endian. Headers of tar compress to a
// few per cent: the index of 20,000 files is about half a megabyte.
namespace wherry::image {

class IndexWriter {
 public:
  // `file` is empty.
  static absl::StatusOr<std::unique_ptr<IndexWriter>> Open(sys::UniqueFd file);
  virtual ~IndexWriter() = default;
  virtual absl::Status Add(const pb::IndexRecord& record) = 0;
  // Writes the rest and returns the digest of the file. Once.
  virtual absl::StatusOr<std::string> Finish() = 0;
};

class IndexReader {
 public:
  // DataLoss when the file's digest, which is read for it as a whole, is not `digest`: from there on it can be trusted.
  static absl::StatusOr<std::unique_ptr<IndexReader>> Open(sys::UniqueFd file, const std::string& digest);
  // The next record, valid until the next call; nullptr at the end.
  absl::StatusOr<const pb::IndexRecord*> Next();

 private:
  IndexReader() = default;
  absl::StatusOr<bool> Fill(size_t size);

  sys::UniqueFd file_;
  std::unique_ptr<ByteSource> packed_, plain_;
  absl::string_view chunk_;
  std::string body_;
  pb::IndexRecord record_;
};

}  // namespace wherry::image
