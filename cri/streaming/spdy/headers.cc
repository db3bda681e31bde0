#include "cri/streaming/spdy/headers.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "absl/strings/str_cat.h"
#include "cri/streaming/spdy/dictionary.h"
#include "cri/streaming/spdy/frame.h"
#include "runtime/sys/status.h"

namespace wherry::streaming::spdy {
namespace {

// Our blocks are a few dozen bytes: a window that holds the dictionary is enough, and costs 9 KiB a session, not 256.
constexpr int kDeflateWindowBits = 11;
constexpr int kDeflateMemory = 1;

Bytef* Bytes(absl::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib reads only, but says so only when ZLIB_CONST
}

// Reads numbers and strings off the front of a block.
class BlockReader {
 public:
  explicit BlockReader(absl::string_view rest) : rest_(rest) {}

  absl::StatusOr<uint32_t> Number() {
    if (rest_.size() < 4) return absl::InvalidArgumentError("header block ends within a number");
    const uint32_t out = GetNumber(rest_);
    rest_.remove_prefix(4);
    return out;
  }

  absl::StatusOr<std::string> String() {
    ASSIGN_OR_RETURN(uint32_t size, Number());
    if (size > rest_.size()) return absl::InvalidArgumentError("header block ends within a string");
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return out;
  }

  bool empty() const { return rest_.empty(); }

 private:
  absl::string_view rest_;
};

bool IsName(absl::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f && (c < 'A' || c > 'Z'); });
}

absl::StatusOr<Headers> Parse(absl::string_view block) {
  BlockReader reader(block);
  ASSIGN_OR_RETURN(const uint32_t count, reader.Number());
  if (count > kMaxHeaders)
    return absl::InvalidArgumentError(absl::StrCat(count, " headers, ", kMaxHeaders, " allowed"));
  Headers out;
  out.reserve(count);
  std::set<std::string> names;
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::string name, reader.String());
    ASSIGN_OR_RETURN(std::string value, reader.String());
    if (!IsName(name))
      return absl::InvalidArgumentError("a header's name is empty or has upper-case or control characters");
    if (!names.insert(name).second) return absl::InvalidArgumentError("a header comes twice");
    out.emplace_back(std::move(name), std::move(value));
  }
  if (!reader.empty()) return absl::InvalidArgumentError("bytes after the last header");
  return out;
}

}  // namespace

absl::string_view Find(const Headers& headers, absl::string_view name) {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return "";
}

HeaderInflater::HeaderInflater() : stream_(std::make_unique<z_stream>()) { inflateInit(stream_.get()); }
HeaderInflater::~HeaderInflater() { inflateEnd(stream_.get()); }

absl::StatusOr<std::string> HeaderInflater::Inflate(absl::string_view block) {
  std::string out(kMaxHeaderBytes + 1, '\0');
  stream_->next_in = Bytes(block);
  stream_->avail_in = static_cast<uInt>(block.size());
  stream_->next_out = Bytes(out);
  stream_->avail_out = static_cast<uInt>(out.size());
  int code = inflate(stream_.get(), Z_SYNC_FLUSH);
  if (code == Z_NEED_DICT) {
    const std::string dictionary = HeaderDictionary();
    if (inflateSetDictionary(stream_.get(), Bytes(dictionary), static_cast<uInt>(dictionary.size())) != Z_OK)
      return absl::InvalidArgumentError("headers are not deflated with the dictionary of SPDY/3");
    code = inflate(stream_.get(), Z_SYNC_FLUSH);
  }
  if (stream_->avail_out == 0)
    return absl::InvalidArgumentError(absl::StrCat("headers of more than ", kMaxHeaderBytes, " bytes"));
  // Z_BUF_ERROR says that nothing could be done, which is no error for an empty block; the parser will see that it lacks bytes.
  if ((code != Z_OK && code != Z_BUF_ERROR) || stream_->avail_in != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("headers cannot be inflated: ", stream_->msg == nullptr ? "stream is at its end" : stream_->msg));
  out.resize(out.size() - stream_->avail_out);
  return out;
}

absl::StatusOr<Headers> HeaderInflater::Read(absl::string_view block) {
  ASSIGN_OR_RETURN(const std::string plain, Inflate(block));
  return Parse(plain);
}

HeaderDeflater::HeaderDeflater() : stream_(std::make_unique<z_stream>()) {
  deflateInit2(stream_.get(), Z_DEFAULT_COMPRESSION, Z_DEFLATED, kDeflateWindowBits, kDeflateMemory,
               Z_DEFAULT_STRATEGY);
  const std::string dictionary = HeaderDictionary();
  deflateSetDictionary(stream_.get(), Bytes(dictionary), static_cast<uInt>(dictionary.size()));
}
HeaderDeflater::~HeaderDeflater() { deflateEnd(stream_.get()); }

std::string HeaderDeflater::Write(const Headers& headers) {
  std::string plain;
  PutNumber(static_cast<uint32_t>(headers.size()), &plain);
  for (const auto& [name, value] : headers) {
    for (const std::string* text : {&name, &value}) {
      PutNumber(static_cast<uint32_t>(text->size()), &plain);
      plain += *text;
    }
  }
  stream_->next_in = Bytes(plain);
  stream_->avail_in = static_cast<uInt>(plain.size());
  std::string out;
  char piece[512];
  do {
    stream_->next_out = reinterpret_cast<Bytef*>(piece);
    stream_->avail_out = sizeof(piece);
    deflate(stream_.get(), Z_SYNC_FLUSH);
    out.append(piece, sizeof(piece) - stream_->avail_out);
  } while (stream_->avail_out == 0);
  return out;
}

}  // namespace wherry::streaming::spdy
