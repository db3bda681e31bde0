#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "cri/image/http_transport.h"
#include "test/integration/image/fake_registry.h"

namespace wherry::image::test {

// Debian's docker-registry on loopback: the standard's own implementation. Its blobs and configuration lie below `dir`, which
// outlives it.
class DockerRegistry {
 public:
  struct Options {
    std::string http;           // more of the configuration's "http", from the comma on
    std::string more;           // more sections
    std::string authority;      // of its TLS certificate, in PEM; empty for plain HTTP
    std::string authorization;  // the header's value that it wants
    std::string cert, key;      // of the client that it wants, in PEM
    std::string log;  // a file for all that it says of each request; empty for errors only, to where the test's go
  };
  // Ready to answer, or the test has failed.
  explicit DockerRegistry(const std::string& dir, const Options& options = {});
  ~DockerRegistry();
  DockerRegistry(const DockerRegistry&) = delete;
  DockerRegistry& operator=(const DockerRegistry&) = delete;

  const std::string& host() const { return host_; }
  void Push(const RegistryImage& image, const std::string& name, const std::string& tag);
  // What it says to a GET or HEAD, for a server that stands before it. For one without TLS.
  Response Answer(const Request& request) const;

 private:
  void Start(const std::string& dir);
  HttpResponse Do(const std::string& method, const std::string& url, const std::string& body, const std::string& type);

  const Options options_;
  std::string host_;
  std::shared_ptr<TlsOptions> tls_;
  std::unique_ptr<HttpTransport> transport_;
  pid_t pid_ = -1;
};

}  // namespace wherry::image::test
