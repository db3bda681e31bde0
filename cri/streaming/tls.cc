#include "cri/streaming/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "absl/strings/str_cat.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::streaming {
namespace {

struct OpenSslFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class T>
using Owned = std::unique_ptr<T, OpenSslFree>;

// OpenSSL would ask on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::Status Wrong(absl::string_view what, const std::string& file) {
  return absl::InvalidArgumentError(absl::StrCat(what, " \"", file, "\": ", SslError()));
}

absl::StatusOr<Owned<BIO>> OpenPem(const std::string& file, std::string* text) {
  ASSIGN_OR_RETURN(*text, sys::ReadFileAt(AT_FDCWD, file));
  return Owned<BIO>(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
}

// The server's own certificate first, then those that lead to a root that the client knows.
absl::Status ReadCertificates(const std::string& file, SSL_CTX* context) {
  std::string text;
  ASSIGN_OR_RETURN_CTX(const Owned<BIO> bio, OpenPem(file, &text), "streaming.tls_cert_file");
  const Owned<X509> first(PEM_read_bio_X509_AUX(bio.get(), nullptr, NoPassphrase, nullptr));
  if (first == nullptr || SSL_CTX_use_certificate(context, first.get()) != 1)
    return Wrong("no usable certificate in streaming.tls_cert_file", file);
  while (true) {
    const Owned<X509> next(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (next == nullptr) break;
    if (SSL_CTX_add1_chain_cert(context, next.get()) != 1)
      return Wrong("an unusable certificate in streaming.tls_cert_file", file);
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
    return Wrong("a broken certificate in streaming.tls_cert_file", file);
  ERR_clear_error();
  return absl::OkStatus();
}

absl::Status ReadKey(const std::string& file, const std::string& cert_file, SSL_CTX* context) {
  std::string text;
  ASSIGN_OR_RETURN_CTX(const Owned<BIO> bio, OpenPem(file, &text), "streaming.tls_key_file");
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  OPENSSL_cleanse(text.data(), text.size());
  if (key == nullptr) return Wrong("no usable key (without a passphrase) in streaming.tls_key_file", file);
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return Wrong(absl::StrCat("the certificate in \"", cert_file, "\" does not go with the key in"), file);
  return absl::OkStatus();
}

FileStamp StampOf(const std::string& file) {
  struct stat st {};
  if (::stat(file.c_str(), &st) != 0) return {};  // reading it will tell why
  return {st.st_dev, st.st_ino, st.st_size, st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsKeys>> TlsKeys::Load(std::string cert_file, std::string key_file, Warn warn) {
  auto keys = std::unique_ptr<TlsKeys>(new TlsKeys(std::move(cert_file), std::move(key_file), std::move(warn)));
  keys->seen_cert_ = StampOf(keys->cert_file_);
  keys->seen_key_ = StampOf(keys->key_file_);
  RETURN_IF_ERROR(keys->Read());
  return keys;
}

absl::Status TlsKeys::Read() {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::ResourceExhaustedError(absl::StrCat("SSL_CTX_new: ", SslError()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Each URL is good for one connection: there is no session to take up again.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  RETURN_IF_ERROR(ReadCertificates(cert_file_, context.get()));
  RETURN_IF_ERROR(ReadKey(key_file_, cert_file_, context.get()));
  context_ = std::move(context);
  return absl::OkStatus();
}

std::unique_ptr<Transport> TlsKeys::Accept(asio::ip::tcp::socket socket) {
  // Looked at before they are read: a change meanwhile is seen by the next connection.
  const FileStamp cert = StampOf(cert_file_), key = StampOf(key_file_);
  if (cert != seen_cert_ || key != seen_key_) {
    seen_cert_ = cert;
    seen_key_ = key;
    if (absl::Status status = Read(); !status.ok())
      warn_(absl::StrCat("streaming goes on with the certificate it has: ", std::string(status.message())));
  }
  Ssl ssl(SSL_new(context_.get()));
  if (ssl == nullptr) return nullptr;
  SSL_set_accept_state(ssl.get());
  return TlsTransport(std::move(socket), std::move(ssl));
}

}  // namespace wherry::streaming
