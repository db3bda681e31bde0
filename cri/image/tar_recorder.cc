#include "cri/image/tar_recorder.h"

#include <isa-l/crc64.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_join.h"
#include "cri/image/path_walk.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr size_t kMaxRaw = 1 << 20;
// What a reader may ask for before it says what the bytes so far were. libarchive takes headers of 1 MiB at the most.
constexpr size_t kMaxAhead = 16 << 20;

}  // namespace

absl::StatusOr<absl::string_view> TarRecorder::Next() {
  RETURN_IF_ERROR(KeepUntil(std::min(consumed_, end_)));
  if (earlier_.size() + chunk_.size() > kMaxAhead)
    return absl::ResourceExhaustedError("a header of the tar stream is too large");
  earlier_.append(chunk_.data(), chunk_.size());
  ASSIGN_OR_RETURN(chunk_, from_.Next());
  end_ += chunk_.size();
  return chunk_;
}

absl::Status TarRecorder::Keep(absl::string_view bytes) {
  if (bytes.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(FlushPayload());
  pb::IndexRecord record;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kMaxRaw, bytes.size()))) {
    record.set_raw(std::string(bytes.substr(0, kMaxRaw)));
    RETURN_IF_ERROR(out_.Add(record));
  }
  return absl::OkStatus();
}

absl::Status TarRecorder::KeepUntil(uint64_t position) {
  if (position <= settled_) return absl::OkStatus();
  uint64_t left = position - settled_;
  settled_ = position;
  const size_t early = static_cast<size_t>(std::min<uint64_t>(left, earlier_.size()));
  RETURN_IF_ERROR(Keep(absl::string_view(earlier_).substr(0, early)));
  earlier_.erase(0, early);
  left -= early;
  RETURN_IF_ERROR(Keep(chunk_.substr(0, left)));
  chunk_.remove_prefix(left);
  return absl::OkStatus();
}

// Whether the stream goes on with `bytes`. Usually they are the very ones that this gave out, and need not be looked at.
bool TarRecorder::Matches(absl::string_view bytes) const {
  if (bytes.size() > end_ - settled_) return false;
  const size_t early = std::min(bytes.size(), earlier_.size());
  if (bytes.substr(0, early) != absl::string_view(earlier_).substr(0, early)) return false;
  bytes.remove_prefix(early);
  return bytes.data() == chunk_.data() || bytes == chunk_.substr(0, bytes.size());
}

absl::Status TarRecorder::AddUp(const DataRun& run, uint64_t entry, const std::string& name) {
  if (entry != entry_) {
    entry_ = entry;
    auto [it, added] = contents_.try_emplace(absl::StrJoin(SplitPath(name), "/"));
    lost_ = lost_ || !added;
    current_ = &it->second;
    *current_ = {0, entry};
  }
  current_->sum =
      ::crc64_ecma_refl(current_->sum, reinterpret_cast<const unsigned char*>(run.bytes.data()), run.bytes.size());
  return absl::OkStatus();
}

absl::Status TarRecorder::Payload(uint64_t position, const DataRun& run, uint64_t entry, const std::string& name) {
  const bool same_file = entry == entry_;
  if (position < settled_ || position > end_) return absl::InternalError("contents were given out of turn");
  RETURN_IF_ERROR(KeepUntil(position));
  if (!Matches(run.bytes)) return absl::InternalError("contents are not those of the stream");
  RETURN_IF_ERROR(AddUp(run, entry, name));
  pb::IndexPayload* payload = payload_.mutable_payload();
  if (!same_file || payload->size() == 0 || payload->offset() + payload->size() != run.offset) {
    RETURN_IF_ERROR(FlushPayload());
    payload = payload_.mutable_payload();
    payload->set_path(absl::StrJoin(SplitPath(name), "/"));
    payload->set_offset(run.offset);
  }
  payload->set_size(payload->size() + run.bytes.size());
  settled_ = position + run.bytes.size();
  const size_t early = std::min(run.bytes.size(), earlier_.size());
  earlier_.erase(0, early);
  chunk_.remove_prefix(run.bytes.size() - early);
  return absl::OkStatus();
}

absl::Status TarRecorder::FlushPayload() {
  if (payload_.payload().size() == 0) return absl::OkStatus();
  absl::Status added = out_.Add(payload_);
  payload_.Clear();
  return added;
}

absl::Status TarRecorder::Finish() {
  RETURN_IF_ERROR(KeepUntil(end_));
  return FlushPayload();
}

}  // namespace wherry::image
