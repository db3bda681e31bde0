#include "cri/streaming/tls_transport.h"

#include <openssl/err.h>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <functional>

// TLS on a socket's own descriptor: OpenSSL reads and writes it, and Asio says when it is worth trying again. Asio's own stream
// for TLS copies everything once more, through a pair of buffers of 17 KiB, and cannot send its end without waiting for the
// other's, which our half-closed streams need.
namespace wherry::streaming {
namespace {

using asio::ip::tcp;

// Small pieces are put together into one record: each costs a header, an authentication and a system call.
constexpr size_t kRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;

class Tls final : public Transport {
 public:
  Tls(tcp::socket socket, Ssl ssl) : state_(std::make_shared<State>(std::move(socket), std::move(ssl))) {}
  ~Tls() override { state_->Close(); }

  void ReadSome(asio::mutable_buffer buffer, Handler handler) override {
    state_->Run(
        buffer.size() == 0, [state = state_.get(), buffer](size_t* done) { return state->Read(buffer, done); },
        std::move(handler));
  }

  void WriteSome(const std::vector<asio::const_buffer>& buffers, Handler handler) override {
    const asio::const_buffer bytes = state_->Join(buffers);
    state_->Run(
        bytes.size() == 0,
        [state = state_.get(), bytes, at = size_t{0}](size_t* done) mutable {
          const int result = state->Write(bytes, &at);
          *done = at;
          return result;
        },
        std::move(handler));
  }

  void ShutdownWrite() override {
    state_->Run(
        false,
        [state = state_.get()](size_t*) {
          const int sent = SSL_shutdown(state->ssl.get());
          return sent == 0 ? 1 : sent;  // 0: sent, and the other's has not come
        },
        [state = state_](error_code, size_t) {
          error_code ignored;
          if (state->socket.is_open()) state->socket.shutdown(tcp::socket::shutdown_send, ignored);
        });
  }
  void Close() override { state_->Close(); }
  bool PeerHasClosed() override { return PeerOfSocketHasClosed(state_->socket.native_handle()); }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(tcp::socket s, Ssl ssl_object) : socket(std::move(s)), ssl(std::move(ssl_object)) {}

    using Step = std::function<int(size_t*)>;

    void Close() {
      error_code ignored;
      socket.close(ignored);
    }

    // What to write next: the first buffer, or several small ones joined.
    asio::const_buffer Join(const std::vector<asio::const_buffer>& buffers) {
      if (buffers.empty() || buffers.size() == 1 || buffers.front().size() >= kRecordBytes)
        return buffers.empty() ? asio::const_buffer() : buffers.front();
      if (joined == nullptr) joined = std::make_unique_for_overwrite<char[]>(kRecordBytes);
      return asio::buffer(joined.get(), asio::buffer_copy(asio::buffer(joined.get(), kRecordBytes), buffers));
    }

    // One record; when it was a full one, those after it that are here, too.
    int Read(asio::mutable_buffer buffer, size_t* done) {
      while (true) {
        size_t n = 0;
        const int result = SSL_read_ex(ssl.get(), buffer.data(), buffer.size(), &n);
        *done += n;
        buffer += n;
        if (result <= 0) return *done > 0 ? 1 : result;  // the next read fails again
        if (n < kRecordBytes || buffer.size() == 0) return 1;
      }
    }

    // All of it: a record that is half written must not be followed by another.
    int Write(asio::const_buffer bytes, size_t* at) {
      while (*at < bytes.size()) {
        size_t n = 0;
        const asio::const_buffer rest = bytes + *at;
        const int result = SSL_write_ex(ssl.get(), rest.data(), rest.size(), &n);
        if (result <= 0) return result;
        *at += n;
      }
      return 1;
    }

    // Handlers come from the io_context, never from within the call.
    void Run(bool nothing, Step step, Handler handler) {
      if (nothing) return Post({}, 0, std::move(handler));
      Try(std::move(step), std::move(handler), true);
    }

    void Post(error_code error, size_t bytes, Handler handler) {
      asio::post(socket.get_executor(),
                 [handler = std::move(handler), error, bytes]() mutable { handler(error, bytes); });
    }

    // Of SSL_get_error(3). OpenSSL's own errors tell, for one, what is wrong with a certificate.
    static error_code Error(int why) {
      if (why == SSL_ERROR_ZERO_RETURN) return asio::error::eof;
      const unsigned long code = why == SSL_ERROR_SSL ? ERR_get_error() : 0;
      if (code == 0) return asio::error::connection_reset;
      return {static_cast<int>(code), asio::error::get_ssl_category()};
    }

    void Try(Step step, Handler handler, bool within) {
      if (!socket.is_open()) return Post(asio::error::operation_aborted, 0, std::move(handler));
      ERR_clear_error();
      size_t done = 0;
      const int result = step(&done);
      if (result > 0) return within ? Post({}, done, std::move(handler)) : handler({}, done);
      const int why = SSL_get_error(ssl.get(), result);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return Post(Error(why), 0, std::move(handler));
      socket.async_wait(
          why == SSL_ERROR_WANT_READ ? tcp::socket::wait_read : tcp::socket::wait_write,
          [self = shared_from_this(), step = std::move(step), handler = std::move(handler)](error_code error) mutable {
            if (error) return handler(error, 0);
            self->Try(std::move(step), std::move(handler), false);
          });
    }

    tcp::socket socket;
    const Ssl ssl;
    std::unique_ptr<char[]> joined;
  };

  const std::shared_ptr<State> state_;
};

}  // namespace

std::string SslError() {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  return text;
}

std::unique_ptr<Transport> TlsTransport(tcp::socket socket, Ssl ssl) {
  TuneSocket(socket);
  error_code ignored;
  socket.non_blocking(true, ignored);
  SSL_set_mode(ssl.get(),
               SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_set_read_ahead(ssl.get(), 1);  // else each record takes two read(2)
  SSL_set_default_read_buffer_len(ssl.get(), 4 * SSL3_RT_MAX_ENCRYPTED_LENGTH);
  SSL_set_fd(ssl.get(), socket.native_handle());
  return std::make_unique<Tls>(std::move(socket), std::move(ssl));
}

}  // namespace wherry::streaming
