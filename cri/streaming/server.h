#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cri/streaming/backend.h"
#include "cri/streaming/tokens.h"

namespace wherry::streaming {

// The HTTP server of streaming sessions, on one thread of its own.
class Server {
 public:
  struct Options {
    std::string address = "127.0.0.1";  // of IPv4 or IPv6
    uint16_t port = 0;                  // 0: any free one
    // With both, connections are TLS (see tls.h), and URLs https.
    std::string tls_cert_file = "", tls_key_file = "";
    std::function<void(const std::string&)> warn = [](const std::string&) {};  // on the server's thread
    std::chrono::milliseconds idle = std::chrono::hours(4);
    std::chrono::milliseconds creation = std::chrono::seconds(30);
  };

  // Listens from then on. InvalidArgument for what no address or no pair of certificate and key is. `backend` outlives it.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Options& options, Backend& backend);
  ~Server();

  // The URL at which `request` will be served, once, within a minute. ResourceExhausted when too many wait. Thread-safe.
  absl::StatusOr<std::string> Url(Request request);

  // Tells the clients, ends all sessions and what they started. False when the backend did not end within `grace`: then end the
  // process instead of destroying anything.
  bool Stop(absl::Duration grace);

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace wherry::streaming
