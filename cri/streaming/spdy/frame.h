#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// SPDY/3.1's frames (draft-mbelshe-httpbis-spdy-00, section 2.2): eight bytes of header, then a body.
//
//   control   |1| version 3 (15) | type (16) |  flags (8) | length (24) | body
//   data      |0|         stream (31)        |  flags (8) | length (24) | bytes
//
// Control frames are collected, so their length is bounded. Data may come in frames of up to 16 MiB and is handed on in the
// pieces in which it arrives: no frame of it is ever held.
namespace wherry::streaming::spdy {

enum class Type : uint16_t {
  kSynStream = 1,
  kSynReply = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kHeaders = 8,
  kWindowUpdate = 9,
};

enum Flags : uint8_t { kFlagFin = 1, kFlagUnidirectional = 2 };

// Why a stream ends early (RST_STREAM).
enum class Reset : uint32_t {
  kProtocolError = 1,
  kInvalidStream = 2,
  kRefusedStream = 3,
  kCancel = 5,
  kInternalError = 6,
  kFlowControlError = 7,
  kStreamAlreadyClosed = 9,
};

// Why a session ends (GOAWAY).
enum class GoAway : uint32_t { kOk = 0, kProtocolError = 1, kInternalError = 2 };

constexpr uint32_t kSettingMaxConcurrentStreams = 4;
constexpr uint32_t kSettingInitialWindow = 7;

constexpr size_t kHeaderBytes = 8;
constexpr size_t kMaxControlBytes = 16 << 10;  // of a control frame's body
constexpr size_t kMaxDataBytes = (1 << 24) - 1;
constexpr uint32_t kMaxStreamId = 0x7fffffff;

// Splits what arrives into frames.
class FrameReader {
 public:
  class Visitor {
   public:
    // A whole control frame of version 3. `type` may be unknown.
    virtual absl::Status OnControl(uint16_t type, uint8_t flags, absl::string_view body) = 0;
    // A piece of a data frame, never empty but for an empty frame; `fin` with the last piece of a frame that has the flag.
    virtual absl::Status OnData(uint32_t stream, absl::string_view piece, bool fin) = 0;

   protected:
    ~Visitor() = default;
  };

  // Takes bytes and calls `visitor` for what they complete. Returns its first error, or InvalidArgument for a frame of another
  // version or a control frame that is too long; then no more may be read.
  absl::Status Read(absl::string_view bytes, Visitor& visitor);

 private:
  absl::Status BeginFrame(Visitor& visitor);
  absl::Status ReadBody(absl::string_view* bytes, Visitor& visitor);

  std::string header_;  // what has come of the eight bytes
  std::string body_;    // what has come of a control frame
  bool in_body_ = false;
  bool control_ = false;
  uint16_t type_ = 0;
  uint32_t stream_ = 0;
  uint8_t flags_ = 0;
  size_t left_ = 0;  // bytes of the body still to come
};

uint32_t GetNumber(absl::string_view bytes);  // the first four, big-endian
void PutNumber(uint32_t number, std::string* out);

std::string ControlFrame(Type type, uint8_t flags, absl::string_view body);
// The eight bytes before `size` bytes of data.
std::string DataHeader(uint32_t stream, uint8_t flags, size_t size);

}  // namespace wherry::streaming::spdy
