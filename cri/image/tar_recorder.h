#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cri/image/byte_source.h"
#include "cri/image/layer_index.h"
#include "cri/image/layer_reader.h"

// Stands between a layer's tar stream and its reader, and writes down what passes, except for the contents of files: of these only
// where they go (see layer_index.h). It knows nothing of tar: the reader tells which bytes of the stream it gave out as a file's, and
// all others are kept. Contents cost a checksum and are never copied.
namespace wherry::image {

class TarRecorder final : public ByteSource {
 public:
  // What was noted of a file's contents.
  struct Contents {
    uint64_t sum = 0;    // CRC-64
    uint64_t entry = 0;  // which of the stream's entries it was
  };

  TarRecorder(ByteSource& from, IndexWriter& out) : from_(from), out_(out) {}

  absl::StatusOr<absl::string_view> Next() override;
  // The reader's word that it is done with all bytes before `position`, and that what it will call contents lies behind. Before it
  // asks for more.
  void Consumed(uint64_t position) { consumed_ = position; }
  // The reader gives out `run`, which begins at `position` of the stream, as contents of the stream's `entry`th entry, `name`.
  absl::Status Payload(uint64_t position, const DataRun& run, uint64_t entry, const std::string& name);
  // After the last byte of the stream.
  absl::Status Finish();

  uint64_t bytes() const { return end_; }
  // By path, normalised.
  const std::map<std::string, Contents>& contents() const { return contents_; }
  // Two entries had one name, so that the contents of the first are lost.
  bool lost() const { return lost_; }

 private:
  absl::Status KeepUntil(uint64_t position);
  absl::Status Keep(absl::string_view bytes);
  absl::Status FlushPayload();
  bool Matches(absl::string_view bytes) const;
  absl::Status AddUp(const DataRun& run, uint64_t entry, const std::string& name);

  ByteSource& from_;
  IndexWriter& out_;
  // The stream from `settled_` to `end_`, about which nothing is said yet: `earlier_`, which is usually empty, and then `chunk_`.
  std::string earlier_;
  absl::string_view chunk_;
  uint64_t settled_ = 0, end_ = 0, consumed_ = 0;
  pb::IndexRecord payload_;  // not written yet: the next run may continue it
  uint64_t entry_ = 0;
  std::map<std::string, Contents> contents_;
  Contents* current_ = nullptr;
  bool lost_ = false;
};

}  // namespace wherry::image
