#include "cri/streaming/transport.h"

#include <netinet/tcp.h>
#include <poll.h>

#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>

namespace wherry::streaming {
namespace {

template <int Name>
using KeepAlive = asio::detail::socket_option::integer<IPPROTO_TCP, Name>;

class Tcp final : public Transport {
 public:
  explicit Tcp(asio::ip::tcp::socket socket) : socket_(std::move(socket)) { TuneSocket(socket_); }
  void ReadSome(asio::mutable_buffer buffer, Handler handler) override {
    socket_.async_read_some(buffer, std::move(handler));
  }
  void WriteSome(const std::vector<asio::const_buffer>& buffers, Handler handler) override {
    socket_.async_write_some(buffers, std::move(handler));
  }
  void ShutdownWrite() override {
    error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
  void Close() override {
    error_code ignored;
    socket_.close(ignored);
  }
  bool PeerHasClosed() override { return PeerOfSocketHasClosed(socket_.native_handle()); }

 private:
  asio::ip::tcp::socket socket_;
};

// Gives some bytes, then what the other transport has.
class WithPrefix final : public Transport {
 public:
  WithPrefix(asio::io_context& io, std::string prefix, std::unique_ptr<Transport> rest)
      : io_(io), prefix_(std::move(prefix)), rest_(std::move(rest)) {}
  void ReadSome(asio::mutable_buffer buffer, Handler handler) override {
    if (prefix_.empty()) return rest_->ReadSome(buffer, std::move(handler));
    const size_t n = asio::buffer_copy(buffer, asio::buffer(prefix_));
    prefix_.erase(0, n);
    asio::post(io_, [handler = std::move(handler), n]() mutable { handler({}, n); });
  }
  void WriteSome(const std::vector<asio::const_buffer>& buffers, Handler handler) override {
    rest_->WriteSome(buffers, std::move(handler));
  }
  void ShutdownWrite() override { rest_->ShutdownWrite(); }
  void Close() override { rest_->Close(); }
  bool PeerHasClosed() override { return rest_->PeerHasClosed(); }

 private:
  asio::io_context& io_;
  std::string prefix_;
  std::unique_ptr<Transport> rest_;
};

}  // namespace

void TuneSocket(asio::ip::tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  // tcp(7). The default of 2 h is long for a dead client's process to live. Also a client that closed while nothing was read of
  // much that it had sent is seen by this alone: its end waits for room behind the data, until its kernel forgets it.
  socket.set_option(KeepAlive<TCP_KEEPIDLE>(30), ignored);
  socket.set_option(KeepAlive<TCP_KEEPINTVL>(10), ignored);
  socket.set_option(KeepAlive<TCP_KEEPCNT>(3), ignored);
}

bool PeerOfSocketHasClosed(int fd) {
  pollfd poll{fd, POLLRDHUP, 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

std::unique_ptr<Transport> TcpTransport(asio::ip::tcp::socket socket) {
  return std::make_unique<Tcp>(std::move(socket));
}

std::unique_ptr<Transport> AnyStream::ReleaseTransport() {
  if (early_.empty()) return std::move(transport_);
  return std::make_unique<WithPrefix>(*io_, std::move(early_), std::move(transport_));
}

void AnyStream::Read(asio::mutable_buffer buffer, Transport::Handler handler) {
  if (early_.empty()) return transport_->ReadSome(buffer, std::move(handler));
  const size_t n = asio::buffer_copy(buffer, asio::buffer(early_));
  early_.erase(0, n);
  asio::post(*io_, [handler = std::move(handler), n]() mutable { handler({}, n); });
}

}  // namespace wherry::streaming
