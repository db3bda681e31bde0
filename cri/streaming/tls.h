#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cri/streaming/tls_transport.h"

namespace wherry::streaming {

// What tells that a file is another one, or has other contents.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  int64_t changed_s = 0, changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

// The server's certificate chain and key, two PEM files that are replaced while it runs: cert-manager and the like renew them
// some days before they expire, by writing the files or by turning a symbolic link. Each new connection looks at the files, which
// costs two stat(2), and so needs neither a timer nor a watch that could be lost. Connections under way keep what they began with.
class TlsKeys {
 public:
  using Warn = std::function<void(const std::string&)>;

  // InvalidArgument says what is wrong: a file that cannot be read or is no PEM, or a key that is not the certificate's.
  static absl::StatusOr<std::unique_ptr<TlsKeys>> Load(std::string cert_file, std::string key_file, Warn warn);

  // The server's end of a new connection. When the files have changed it has the new pair; when they are no pair (yet), the one
  // before, and `warn` is told once what is wrong with them.
  std::unique_ptr<Transport> Accept(asio::ip::tcp::socket socket);

 private:
  TlsKeys(std::string cert_file, std::string key_file, Warn warn)
      : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)), warn_(std::move(warn)) {}
  absl::Status Read();

  const std::string cert_file_, key_file_;
  const Warn warn_;
  FileStamp seen_cert_, seen_key_;  // of what was read last, good or not
  SslContext context_;
};

}  // namespace wherry::streaming
