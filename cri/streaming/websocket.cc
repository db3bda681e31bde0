#include "cri/streaming/websocket.h"

#include <boost/beast/websocket.hpp>

namespace wherry::streaming {

// What Beast asks of a stream that is none of Asio's own.
template <class Handler>
void async_teardown(boost::beast::role_type, AnyStream& stream, Handler&& handler) {
  stream.transport().ShutdownWrite();
  asio::post(stream.get_executor(), [h = std::forward<Handler>(handler)]() mutable { h(error_code{}); });
}
inline void beast_close_socket(AnyStream& stream) { stream.transport().Close(); }

namespace {

namespace beast = boost::beast;
namespace ws = boost::beast::websocket;

constexpr size_t kMaxMessage = 16 << 20;

class BeastSocket final : public WebSocket, public std::enable_shared_from_this<BeastSocket> {
 public:
  BeastSocket(asio::io_context& io, std::unique_ptr<Transport> transport)
      : stream_(AnyStream(io, std::move(transport))) {
    stream_.auto_fragment(false);  // a message is one frame, written from where it lies
    stream_.read_message_max(kMaxMessage);
    // Time is kept by whoever owns the session.
    stream_.set_option(ws::stream_base::timeout{ws::stream_base::none(), ws::stream_base::none(), false});
  }
  void Accept(const std::string& head, const std::string& protocol, Handler handler) override {
    if (!protocol.empty())
      stream_.set_option(ws::stream_base::decorator([protocol](ws::response_type& response) {
        response.set(beast::http::field::sec_websocket_protocol, protocol);
      }));
    stream_.next_layer().PutBack(head);
    stream_.async_accept(
        [self = shared_from_this(), handler = std::move(handler)](error_code error) mutable { handler(error, 0); });
  }
  void ReadSome(asio::mutable_buffer buffer, Handler handler) override {
    stream_.async_read_some(buffer, std::move(handler));
  }
  bool message_done() const override { return stream_.is_message_done(); }
  void Write(bool text, const std::vector<asio::const_buffer>& buffers, Handler handler) override {
    stream_.text(text);
    stream_.async_write(buffers, std::move(handler));
  }
  void Close(Handler handler) override {
    stream_.async_close(ws::close_code::normal, [self = shared_from_this(), handler = std::move(handler)](
                                                    error_code error) mutable { handler(error, 0); });
  }
  void Abort() override { stream_.next_layer().transport().Close(); }
  bool PeerHasClosed() override { return stream_.next_layer().transport().PeerHasClosed(); }

 private:
  ws::stream<AnyStream, false> stream_;
};

class Tunnel final : public Transport {
 public:
  explicit Tunnel(std::shared_ptr<WebSocket> socket) : socket_(std::move(socket)) {}
  void ReadSome(asio::mutable_buffer buffer, Handler handler) override {
    socket_->ReadSome(buffer, std::move(handler));
  }
  void WriteSome(const std::vector<asio::const_buffer>& buffers, Handler handler) override {
    socket_->Write(false, buffers, std::move(handler));
  }
  void ShutdownWrite() override {
    socket_->Close([socket = socket_](error_code, size_t) {});
  }
  void Close() override { socket_->Abort(); }
  bool PeerHasClosed() override { return socket_->PeerHasClosed(); }

 private:
  const std::shared_ptr<WebSocket> socket_;
};

}  // namespace

std::shared_ptr<WebSocket> WebSocket::Make(asio::io_context& io, std::unique_ptr<Transport> transport) {
  return std::make_shared<BeastSocket>(io, std::move(transport));
}

std::unique_ptr<Transport> WebSocketTunnel(std::shared_ptr<WebSocket> socket) {
  return std::make_unique<Tunnel>(std::move(socket));
}

}  // namespace wherry::streaming
