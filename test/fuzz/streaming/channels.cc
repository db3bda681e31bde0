// What a client may send on a WebSocket after its handshake: frames, control frames, channels in messages. The first byte of the
// input is the format, how the bytes are cut and whether the session's owner is slow; the rest comes from the client.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdlib>

#include "cri/streaming/ws_channels.h"
#include "test/fuzz/target.h"

namespace {

using namespace wherry::streaming;  // NOLINT: a program of one file

constexpr char kHandshake[] =
    "GET /exec/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n";
constexpr size_t kMaxHeld = (256 << 10) + (1 << 20);  // what may be unconsumed, and one message more
constexpr size_t kMaxChannel = 5;

void Demand(bool ok) {
  if (!ok) std::abort();
}

// The client's bytes, in pieces, and then its end. What is written to it is lost.
class Client final : public Transport {
 public:
  Client(asio::io_context& io, absl::string_view bytes, size_t piece) : io_(io), bytes_(bytes), piece_(piece) {}
  void ReadSome(asio::mutable_buffer buffer, Handler handler) override {
    const size_t n = closed_ ? 0 : std::min({piece_, buffer.size(), bytes_.size()});
    std::memcpy(buffer.data(), bytes_.data(), n);
    bytes_.remove_prefix(n);
    Answer(std::move(handler), n == 0 && buffer.size() > 0 ? asio::error::eof : error_code(), n);
  }
  void WriteSome(const std::vector<asio::const_buffer>& buffers, Handler handler) override {
    Answer(std::move(handler), closed_ ? asio::error::broken_pipe : error_code(), asio::buffer_size(buffers));
  }
  void ShutdownWrite() override {}
  void Close() override { closed_ = true; }
  bool PeerHasClosed() override { return bytes_.empty(); }

 private:
  void Answer(Handler handler, error_code error, size_t bytes) {
    asio::post(io_, [handler = std::move(handler), error, bytes]() mutable { handler(error, bytes); });
  }
  asio::io_context& io_;
  absl::string_view bytes_;
  const size_t piece_;
  bool closed_ = false;
};

class NoBackend final : public Backend {
 public:
  absl::StatusOr<std::unique_ptr<Process>> Exec(const std::string&, const std::vector<std::string>&, Streams) override {
    return absl::NotFoundError("none");
  }
  absl::StatusOr<std::unique_ptr<Process>> Attach(const std::string&, Streams) override {
    return absl::NotFoundError("none");
  }
  absl::StatusOr<wherry::sys::UniqueFd> Connect(const std::string&, uint16_t) override {
    return absl::NotFoundError("none");
  }
};

class Owner final : public WsChannels::Owner {
 public:
  Owner(asio::io_context& io, bool lazy) : io_(io), lazy_(lazy) {}
  void OnData(int channel, absl::string_view data) override {
    Demand(!gone_ && channel >= 0 && channel < static_cast<int>(kMaxChannel) && !data.empty());
    held_ += data.size();
    Demand(held_ <= kMaxHeld);
    if (!lazy_) return Consume();
    asio::post(io_, [this] { Consume(); });
  }
  void OnEnd(int channel) override {
    Demand(!gone_ && channel >= 0 && channel < static_cast<int>(kMaxChannel));
    if (channels != nullptr) channels->Send(3, Chunk::Copy("bye"));
  }
  void OnSent(int) override { Demand(!gone_); }
  void OnGone() override {
    Demand(!gone_);
    gone_ = true;
    channels = nullptr;
  }
  std::shared_ptr<WsChannels> channels;

 private:
  void Consume() {
    if (channels != nullptr) channels->Consumed(std::exchange(held_, 0));
  }
  asio::io_context& io_;
  const bool lazy_;
  size_t held_ = 0;
  bool gone_ = false;
};

// A frame of a client, masked with zeros.
std::string Frame(uint8_t first, const std::string& payload) {
  std::string frame{static_cast<char>(first), static_cast<char>(0x80 | payload.size())};
  return frame + std::string(4, '\0') + payload;
}

}  // namespace

std::vector<std::string> wherry::fuzz::Seeds() {
  const std::string data = Frame(0x82, std::string("\0hello", 6)), end = Frame(0x82, std::string("\xff\0", 2));
  const std::string parts = Frame(0x02, std::string(1, '\0')) + Frame(0x89, "ping") + Frame(0x80, "rest");
  return {std::string(1, '\x1e') + data + end + Frame(0x88, std::string("\x03\xe8", 2)),
          std::string(1, '\x02') + parts + end, std::string(1, '\x3c') + data + data + end + data,
          std::string(1, '\x0d') + Frame(0x81, "0aGVsbG8=") + Frame(0x81, "4eyJXaWR0aCI6ODB9")};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t how = data[0];
  asio::io_context io(1);
  CallPool calls;
  NoBackend backend;
  Context context{io, calls, backend, std::chrono::hours(1), std::chrono::hours(1)};
  auto socket = WebSocket::Make(
      io, std::make_unique<Client>(io, absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1),
                                   size_t{1} << (how >> 4)));
  auto owner = std::make_shared<Owner>(io, (how & 4) != 0);
  socket->Accept(kHandshake, "v5.channel.k8s.io", [&](error_code error, size_t) {
    Demand(!error);
    owner->channels = std::make_shared<WsChannels>(
        context, socket,
        WsChannels::Format{.base64 = (how & 1) != 0, .can_end = (how & 2) != 0, .channels = kMaxChannel});
    owner->channels->Start(owner);
  });
  io.run();
  Demand(owner->channels == nullptr);  // the client's end is always noticed
  return 0;
}
