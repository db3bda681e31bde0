#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace wherry::server {

// The gRPC server on its unix socket (0660). Serves from the moment it exists.
class Listener {
 public:
  // `services` outlive it.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(const std::string& socket,
                                                         const std::vector<grpc::Service*>& services);
  ~Listener();

  // Accepts no more and gives running requests `grace` to end. False when some did not: they cannot be interrupted, and the
  // process should just end, which recovery is made for.
  bool Drain(absl::Duration grace);

 private:
  explicit Listener(std::unique_ptr<grpc::Server> server);

  std::unique_ptr<grpc::Server> server_;
};

}  // namespace wherry::server
