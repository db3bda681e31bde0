// Feeds arbitrary bytes, in arbitrary pieces, to the reader of both ends of the shim protocol, and what it takes for
// frames to both parsers. The first byte of the input says how long the pieces are.
#include "runtime/shim/frame.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "api/shim/v1/shim.pb.h"
#include "google/protobuf/stubs/logging.h"
#include "test/fuzz/target.h"

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

std::string Framed(const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializeAsString();
  std::string out;
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(body.size() >> shift & 0xff));
  return out + body;
}

}  // namespace

std::vector<std::string> wherry::fuzz::Seeds() {
  wherry::shim::v1::Request hello;
  hello.set_id(1);
  hello.mutable_hello()->set_min_version(1);
  hello.mutable_hello()->set_max_version(1);
  wherry::shim::v1::Request exec;
  exec.set_id(2);
  exec.mutable_exec()->set_container_id("c");
  exec.mutable_exec()->set_exec_id("e");
  exec.mutable_exec()->mutable_process()->add_args("/bin/true");
  wherry::shim::v1::Message exited;
  exited.mutable_container_exited()->set_container_id("c");
  exited.mutable_container_exited()->mutable_exit()->set_code(137);
  return {"\x03" + Framed(hello) + Framed(exec), "\xff" + Framed(exited) + Framed(hello)};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  (void)google::protobuf::SetLogHandler(nullptr);
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
