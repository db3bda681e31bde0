// Feeds arbitrary bytes, in arbitrary pieces, to the reader of both ends of the shim protocol, and what it takes for
// frames to both parsers. The first byte of the input says how long the pieces are.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "api/shim/v1/shim.pb.h"
#include "runtime/shim/frame.h"

namespace {

using wherry::shim::FrameReader;

void ReadAll(FrameReader& reader, int fd) {
  while (true) {
    FrameReader::Frame frame;
    auto result = reader.Read(fd, frame);
    if (!result.ok() || *result != FrameReader::Result::kFrame) return;
    wherry::shim::v1::Request request;
    (void)request.ParseFromString(frame.body);
    wherry::shim::v1::Message message;
    (void)message.ParseFromString(frame.body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const size_t piece = 1 + data[0];
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return 0;
  wherry::sys::UniqueFd a(ends[0]), b(ends[1]);
  FrameReader reader;
  for (size_t at = 1; at < size; at += piece) {
    if (::write(a.get(), data + at, std::min(piece, size - at)) < 0) break;
    ReadAll(reader, b.get());
  }
  a.reset();
  ReadAll(reader, b.get());
  return 0;
}
