#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "cri/streaming/transport.h"

namespace wherry::streaming {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
// OpenSSL's objects count their users themselves: a connection keeps the context that it was made from.
using Ssl = std::unique_ptr<SSL, SslFree>;
using SslContext = std::unique_ptr<SSL_CTX, SslFree>;

// What OpenSSL has to say about the last failure of this thread; forgets it.
std::string SslError();

// A connection through TLS. `ssl` knows which end it is; the handshake is done by the first read or write.
std::unique_ptr<Transport> TlsTransport(asio::ip::tcp::socket socket, Ssl ssl);

}  // namespace wherry::streaming
