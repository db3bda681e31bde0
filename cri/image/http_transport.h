#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// HTTP for the fetching half of wherry-pull: requests are made and waited for by any number of threads, each in straight lines; one
// thread drives them all through a single curl multi handle, so that they share connections (and, with HTTP/2, one connection).
// A transfer whose body nobody takes is paused after HttpRequest::max_buffered: memory is bounded, and the server waits.
namespace wherry::image {

struct TlsOptions {
  std::string roots_pem;          // "" = the system's
  std::string cert_pem, key_pem;  // the client's own; "" = none
  bool skip_verify = false;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  std::shared_ptr<const TlsOptions> tls;  // null: as the system does
  absl::Duration dial_timeout = absl::Seconds(30);
  size_t max_buffered = 4 << 20;  // bytes of the body that wait for their taker
};

struct HttpResponse {
  long status = 0;
  std::multimap<std::string, std::string> headers;  // names in lower case
  // The first header of that name, or "".
  std::string Header(const std::string& name) const;
};

// One request under way. The destructor abandons it.
class HttpTransfer {
 public:
  virtual ~HttpTransfer() = default;
  // Waits for status and headers. Unavailable when the server cannot be reached, broke off or is too slow; FailedPrecondition when
  // its certificate is not accepted. Redirections are answers like others.
  virtual absl::StatusOr<HttpResponse> Response() = 0;
  // The next bytes of the body, "" at its end.
  virtual absl::StatusOr<std::string> Next() = 0;
};

class HttpTransport {
 public:
  // A transfer that gets less than `min_rate` bytes a second over `patience`, while its taker is waiting, is broken off.
  struct Limits {
    absl::Duration patience = absl::Seconds(30);
    uint64_t min_rate = 1024;
  };
  static absl::StatusOr<std::unique_ptr<HttpTransport>> Start(const Limits& limits);
  virtual ~HttpTransport() = default;
  virtual std::unique_ptr<HttpTransfer> Send(HttpRequest request) = 0;
};

// The whole body of a transfer whose headers have come; InvalidArgument when it is larger than `max`.
absl::StatusOr<std::string> ReadBody(HttpTransfer& transfer, size_t max);

// "https://host:port/path": what may be shown of a URL. User names and queries can be secrets.
std::string ShownUrl(absl::string_view url);

}  // namespace wherry::image
