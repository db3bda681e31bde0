#include "cri/streaming/client/dial.h"

#include <openssl/x509v3.h>

#include <boost/asio/ip/tcp.hpp>
#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cri/streaming/tls_transport.h"
#include "runtime/sys/status.h"
#include "runtime/sys/tcp.h"

namespace wherry::streaming {
namespace {

using asio::ip::tcp;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience(30);
constexpr std::chrono::hours kNoIdleLimit(24 * 365);  // the server keeps the time
constexpr size_t kMaxHead = 16 << 10;

struct Url {
  bool tls = false;
  std::string host, port, path;
};

absl::StatusOr<Url> Parse(absl::string_view text) {
  Url url;
  absl::string_view rest = text;
  url.tls = absl::ConsumePrefix(&rest, "https://");
  if (!url.tls && !absl::ConsumePrefix(&rest, "http://"))
    return absl::InvalidArgumentError(absl::StrCat("no http URL: \"", text, "\""));
  const size_t slash = std::min(rest.size(), rest.find('/'));
  absl::string_view authority = rest.substr(0, slash);
  url.path = slash == rest.size() ? "/" : std::string(rest.substr(slash));
  const size_t colon = authority.rfind(':');
  if (colon != absl::string_view::npos && authority.find(']', colon) == absl::string_view::npos) {
    url.port = std::string(authority.substr(colon + 1));
    authority = authority.substr(0, colon);
  } else {
    url.port = url.tls ? "443" : "80";
  }
  if (absl::StartsWith(authority, "[")) authority = authority.substr(1, authority.size() - 2);
  url.host = std::string(authority);
  return url;
}

absl::StatusOr<std::unique_ptr<Transport>> StartTls(tcp::socket socket, const std::string& host,
                                                    const std::string& ca_file) {
  const SslContext context(SSL_CTX_new(TLS_client_method()));
  const bool trusts = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                      : SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) == 1;
  if (!trusts) return absl::InvalidArgumentError(absl::StrCat("certificates to trust: ", SslError()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  Ssl ssl(SSL_new(context.get()));
  error_code no_address;
  asio::ip::make_address(host, no_address);
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl.get());
  const bool set = no_address ? X509_VERIFY_PARAM_set1_host(expected, host.c_str(), 0) == 1 &&
                                    SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1
                              : X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
  if (!set) return absl::InvalidArgumentError(absl::StrCat("\"", host, "\": ", SslError()));
  SSL_set_connect_state(ssl.get());
  return TlsTransport(std::move(socket), std::move(ssl));
}

// One request head out, one answer's head back; what comes after it is put back.
class Upgrade final : public std::enable_shared_from_this<Upgrade> {
 public:
  Upgrade(asio::io_context& io, std::unique_ptr<Transport> transport, std::string request)
      : io_(io), stream_(io, std::move(transport)), request_(std::move(request)), buffer_(kMaxHead, '\0') {}

  absl::StatusOr<std::unique_ptr<Transport>> Run() {
    Write();
    const auto end = steady_clock::now() + kPatience;
    while (!done_ && steady_clock::now() < end) io_.run_one_until(end);
    io_.restart();  // it stops when nothing is left to wait for
    if (!done_) error_ = absl::DeadlineExceededError("the server does not answer");
    done_ = true;
    if (!error_.ok()) {
      stream_.transport().Close();
      return error_;
    }
    return stream_.ReleaseTransport();
  }

 private:
  void Fail(const error_code& error) {
    error_ = absl::UnavailableError(absl::StrCat("no answer from the server: ", error.message()));
    done_ = true;
  }

  void Write() {
    stream_.transport().WriteSome({asio::buffer(request_)}, [self = shared_from_this()](error_code error, size_t n) {
      if (self->done_) return;
      if (error) return self->Fail(error);
      self->request_.erase(0, n);
      self->request_.empty() ? self->Read() : self->Write();
    });
  }

  void Read() {
    stream_.transport().ReadSome(asio::buffer(&buffer_[filled_], buffer_.size() - filled_),
                                 [self = shared_from_this()](error_code error, size_t n) {
                                   if (self->done_) return;
                                   self->filled_ += n;
                                   if (error) return self->filled_ > 0 ? self->Refused() : self->Fail(error);
                                   self->OnBytes();
                                 });
  }

  void OnBytes() {
    const absl::string_view got(buffer_.data(), filled_);
    const size_t end = got.find("\r\n\r\n");
    if (absl::StartsWith(got, "HTTP/1.1 101 ") && end != absl::string_view::npos) {
      stream_.PutBack(got.substr(end + 4));
      done_ = true;
      return;
    }
    // A refusal is told whole, as far as it fits.
    return filled_ < buffer_.size() ? Read() : Refused();
  }

  void Refused() {
    const absl::string_view got(buffer_.data(), filled_);
    const size_t line = got.find("\r\n"), body = got.find("\r\n\r\n");
    absl::string_view said = body == absl::string_view::npos ? "" : got.substr(body + 4);
    error_ = absl::FailedPreconditionError(absl::StrCat("the server refuses: ", got.substr(0, line), ": ",
                                                        absl::StripAsciiWhitespace(said.substr(0, 512))));
    done_ = true;
  }

  asio::io_context& io_;
  AnyStream stream_;
  std::string request_, buffer_;
  size_t filled_ = 0;
  bool done_ = false;
  absl::Status error_;
};

// asio::connect() has no place between a socket's making and its connection.
void Connect(tcp::socket& socket, const tcp::endpoint& to, error_code* error) {
  socket.close(*error);
  socket.open(to.protocol(), *error);
  if (*error) return;
  if (to.address().is_loopback()) sys::UseLoopbackCongestionControl(socket.native_handle());
  socket.connect(to, *error);
}

}  // namespace

absl::StatusOr<std::shared_ptr<SpdyLink>> Dial(asio::io_context& io, const std::string& text,
                                               const std::string& protocol, const std::string& ca_file) {
  ASSIGN_OR_RETURN(const Url url, Parse(text));
  error_code error;
  tcp::socket socket(io);
  tcp::resolver resolver(io);
  const auto addresses = resolver.resolve(url.host, url.port, error);
  for (const auto& address : addresses) {
    Connect(socket, address.endpoint(), &error);
    if (!error) break;
  }
  if (error)
    return absl::UnavailableError(absl::StrCat("connect to ", url.host, " port ", url.port, ": ", error.message()));
  std::unique_ptr<Transport> transport;
  if (url.tls) {
    ASSIGN_OR_RETURN_CTX(transport, StartTls(std::move(socket), url.host, ca_file), "TLS");
  } else {
    transport = TcpTransport(std::move(socket));
  }
  const std::string request = absl::StrCat(
      "POST ", url.path, " HTTP/1.1\r\nHost: ", url.host, ":", url.port,
      "\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ", protocol,
      "\r\n\r\n");
  ASSIGN_OR_RETURN(transport, std::make_shared<Upgrade>(io, std::move(transport), request)->Run());
  return std::make_shared<SpdyLink>(io, kNoIdleLimit, std::move(transport), spdy::Session::Role::kClient);
}

}  // namespace wherry::streaming
