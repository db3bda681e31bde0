#include "cri/streaming/transport.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>

namespace wherry::streaming {
namespace {

template <int Name>
using KeepAlive = asio::detail::socket_option::integer<IPPROTO_TCP, Name>;

// The pieces from `first` on that lie in memory, as far as one call takes them.
std::vector<iovec> InMemory(const std::vector<Piece>& pieces, size_t first) {
  constexpr size_t kMost = 256;  // less than IOV_MAX; writev(2)
  std::vector<iovec> out;
  for (; first < pieces.size() && pieces[first].pipe < 0 && out.size() < kMost; ++first)
    out.push_back({const_cast<char*>(pieces[first].data), pieces[first].size});
  return out;
}

class Tcp final : public Transport {
 public:
  explicit Tcp(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
    TuneSocket(socket_);
    error_code ignored;
    socket_.native_non_blocking(true, ignored);  // splice(2) looks at the socket's own flag only
  }
  void ReadSome(asio::mutable_buffer buffer, Handler handler) override {
    socket_.async_read_some(buffer, std::move(handler));
  }
  void WriteSome(const std::vector<asio::const_buffer>& buffers, Handler handler) override {
    socket_.async_write_some(buffers, std::move(handler));
  }
  bool TakesPipes() const override { return true; }
  void WritePieces(const std::vector<Piece>& pieces, Handler handler) override {
    error_code error;
    const size_t done = TryWrite(pieces, &error);
    if (done == 0 && error == asio::error::would_block) {
      socket_.async_wait(asio::ip::tcp::socket::wait_write,
                         [handler = std::move(handler)](error_code failed) mutable { handler(failed, 0); });
    } else {
      if (done > 0) error = {};  // it comes again
      asio::post(socket_.get_executor(),
                 [handler = std::move(handler), error, done]() mutable { handler(error, done); });
    }
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
  // Writes until the socket takes no more. Every piece but the last says that more follows, so that headers travel with their data.
  size_t TryWrite(const std::vector<Piece>& pieces, error_code* error) {
    size_t done = 0;
    for (size_t at = 0; at < pieces.size();) {
      size_t want = pieces[at].size;
      ssize_t n = 0;
      if (pieces[at].pipe >= 0) {
        const bool last = ++at == pieces.size();
        n = ::splice(pieces[at - 1].pipe, nullptr, socket_.native_handle(), nullptr, want,
                     SPLICE_F_NONBLOCK | (last ? 0U : SPLICE_F_MORE));
      } else {
        std::vector<iovec> memory = InMemory(pieces, at);
        at += memory.size();
        want = 0;
        for (const iovec& buffer : memory) want += buffer.iov_len;
        msghdr message = {};
        message.msg_iov = memory.data();
        message.msg_iovlen = memory.size();
        n = ::sendmsg(socket_.native_handle(), &message,
                      MSG_NOSIGNAL | MSG_DONTWAIT | (at < pieces.size() ? MSG_MORE : 0));
      }
      if (n > 0) done += static_cast<size_t>(n);
      if (n == static_cast<ssize_t>(want)) continue;
      if (n < 0) *error = {errno, boost::system::system_category()};
      break;
    }
    return done;
  }

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
  bool TakesPipes() const override { return rest_->TakesPipes(); }
  void WritePieces(const std::vector<Piece>& pieces, Handler handler) override {
    rest_->WritePieces(pieces, std::move(handler));
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

void Transport::WritePieces(const std::vector<Piece>& pieces, Handler handler) {
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(pieces.size());
  for (const Piece& piece : pieces) buffers.emplace_back(piece.data, piece.size);
  WriteSome(buffers, std::move(handler));
}

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
