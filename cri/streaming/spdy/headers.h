#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct z_stream_s;

// The header block of SYN_STREAM, SYN_REPLY and HEADERS: names and values with their lengths, deflated. All blocks of one
// direction of a session are one zlib stream, primed with the protocol's dictionary and flushed after each block. So a block that
// cannot be read loses the ones after it too: an error ends the session.
//
// A few bytes may inflate to gigabytes (CVE-2016-6581 and its kin), so inflation stops at kMaxHeaderBytes.
namespace wherry::streaming::spdy {

// In the order of the wire. Names are lower-case; several values of one name are separated by NUL bytes.
using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kMaxHeaderBytes = 16 << 10;  // of one inflated block
constexpr size_t kMaxHeaders = 64;            // names in one block

// The value of `name` (lower-case), or "".
absl::string_view Find(const Headers& headers, absl::string_view name);

class HeaderInflater {
 public:
  HeaderInflater();
  ~HeaderInflater();

  // InvalidArgument for what is no block of at most kMaxHeaders and kMaxHeaderBytes; then the stream is lost.
  absl::StatusOr<Headers> Read(absl::string_view block);

 private:
  absl::StatusOr<std::string> Inflate(absl::string_view block);

  std::unique_ptr<z_stream_s> stream_;
};

class HeaderDeflater {
 public:
  HeaderDeflater();
  ~HeaderDeflater();

  std::string Write(const Headers& headers);

 private:
  std::unique_ptr<z_stream_s> stream_;
};

}  // namespace wherry::streaming::spdy
