#include "cri/streaming/spdy/frame.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::streaming::spdy {
namespace {

constexpr uint32_t kControlBit = 0x80000000;
constexpr uint16_t kVersion = 3;

// Moves up to `want` bytes from the front of `bytes` to the end of `out`.
void Take(absl::string_view* bytes, size_t want, std::string* out) {
  const size_t n = std::min(want, bytes->size());
  out->append(bytes->data(), n);
  bytes->remove_prefix(n);
}

}  // namespace

uint32_t GetNumber(absl::string_view bytes) {
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out = out << 8 | static_cast<uint8_t>(bytes[i]);
  return out;
}

void PutNumber(uint32_t number, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(number >> shift & 0xff));
}

std::string ControlFrame(Type type, uint8_t flags, absl::string_view body) {
  std::string out;
  PutNumber(kControlBit | uint32_t{kVersion} << 16 | static_cast<uint32_t>(type), &out);
  PutNumber(uint32_t{flags} << 24 | static_cast<uint32_t>(body.size()), &out);
  return absl::StrCat(out, body);
}

std::string DataHeader(uint32_t stream, uint8_t flags, size_t size) {
  std::string out;
  PutNumber(stream, &out);
  PutNumber(uint32_t{flags} << 24 | static_cast<uint32_t>(size), &out);
  return out;
}

absl::Status FrameReader::Read(absl::string_view bytes, Visitor& visitor) {
  while (!bytes.empty()) {
    if (in_body_) {
      RETURN_IF_ERROR(ReadBody(&bytes, visitor));
      continue;
    }
    Take(&bytes, kHeaderBytes - header_.size(), &header_);
    if (header_.size() == kHeaderBytes) RETURN_IF_ERROR(BeginFrame(visitor));
  }
  return absl::OkStatus();
}

absl::Status FrameReader::BeginFrame(Visitor& visitor) {
  const uint32_t first = GetNumber(header_), second = GetNumber(absl::string_view(header_).substr(4));
  header_.clear();
  control_ = (first & kControlBit) != 0;
  flags_ = static_cast<uint8_t>(second >> 24);
  left_ = second & 0xffffff;
  in_body_ = left_ > 0;
  if (!control_) {
    stream_ = first;
    return in_body_ ? absl::OkStatus() : visitor.OnData(stream_, "", (flags_ & kFlagFin) != 0);
  }
  type_ = static_cast<uint16_t>(first);
  const uint32_t version = first >> 16 & 0x7fff;
  if (version != kVersion) return absl::InvalidArgumentError(absl::StrCat("a frame of SPDY/", version));
  if (left_ > kMaxControlBytes)
    return absl::InvalidArgumentError(
        absl::StrCat("a control frame of ", left_, " bytes, ", kMaxControlBytes, " allowed"));
  body_.clear();
  return in_body_ ? absl::OkStatus() : visitor.OnControl(type_, flags_, "");
}

absl::Status FrameReader::ReadBody(absl::string_view* bytes, Visitor& visitor) {
  const absl::string_view piece = bytes->substr(0, left_);
  bytes->remove_prefix(piece.size());
  left_ -= piece.size();
  in_body_ = left_ > 0;
  if (!control_) return visitor.OnData(stream_, piece, !in_body_ && (flags_ & kFlagFin) != 0);
  // Most arrive in one piece.
  if (body_.empty() && !in_body_) return visitor.OnControl(type_, flags_, piece);
  body_.append(piece.data(), piece.size());
  return in_body_ ? absl::OkStatus() : visitor.OnControl(type_, flags_, body_);
}

}  // namespace wherry::streaming::spdy
