#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "cri/streaming/chunk.h"

namespace wherry::streaming {

namespace asio = boost::asio;
using boost::system::error_code;

// A connection as a stream of bytes, whatever carries it (TCP, TLS, a WebSocket tunnel). Of each kind of operation one at a time.
// Handlers are called by the io_context, never from within the call. Used by the io_context's thread only.
class Transport {
 public:
  using Handler = absl::AnyInvocable<void(error_code, size_t)>;

  virtual ~Transport() = default;
  virtual void ReadSome(asio::mutable_buffer buffer, Handler handler) = 0;
  // The buffers' memory outlives the operation.
  virtual void WriteSome(const std::vector<asio::const_buffer>& buffers, Handler handler) = 0;
  // Whether WritePieces() takes pieces that lie in pipes.
  virtual bool TakesPipes() const { return false; }
  // WriteSome() for pieces. It may write nothing without an error, when it had to wait until it can.
  virtual void WritePieces(const std::vector<Piece>& pieces, Handler handler);
  // No more is written: the peer sees the end of the stream after what was.
  virtual void ShutdownWrite() = 0;
  // Ends the operations under way with an error.
  virtual void Close() = 0;
  // The peer will send no more (it has closed, or is dead), though not all it sent may have been read.
  virtual bool PeerHasClosed() = 0;
};

std::unique_ptr<Transport> TcpTransport(asio::ip::tcp::socket socket);

// What all connections of ours have, whatever is in them: no delay, and an end when the peer is dead.
void TuneSocket(asio::ip::tcp::socket& socket);
bool PeerOfSocketHasClosed(int fd);  // see Transport::PeerHasClosed()

// A transport as Asio's and Beast's algorithms want it (AsyncStream), with bytes that were read too early put back.
class AnyStream {
 public:
  using executor_type = asio::io_context::executor_type;

  AnyStream(asio::io_context& io, std::unique_ptr<Transport> transport) : io_(&io), transport_(std::move(transport)) {}

  executor_type get_executor() noexcept { return io_->get_executor(); }
  Transport& transport() { return *transport_; }
  std::unique_ptr<Transport> ReleaseTransport();  // that gives the bytes put back first
  void PutBack(absl::string_view bytes) { early_.insert(0, bytes.data(), bytes.size()); }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& into) {
          asio::mutable_buffer buffer = *asio::buffer_sequence_begin(into);
          for (auto it = asio::buffer_sequence_begin(into); it != asio::buffer_sequence_end(into) && buffer.size() == 0;
               ++it)
            buffer = *it;
          Read(buffer, std::move(handler));
        },
        token, buffers);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& from) {
          std::vector<asio::const_buffer> list(asio::buffer_sequence_begin(from), asio::buffer_sequence_end(from));
          transport_->WriteSome(list, std::move(handler));
        },
        token, buffers);
  }

 private:
  void Read(asio::mutable_buffer buffer, Transport::Handler handler);

  asio::io_context* io_;
  std::unique_ptr<Transport> transport_;
  std::string early_;
};

}  // namespace wherry::streaming
